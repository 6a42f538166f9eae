package activities

import (
	"crypto/tls"
	"crypto/x509"
)

// TrustMailServer has a sender trust the certificates of roots alone.
func TrustMailServer(m *Mail, roots *x509.CertPool) error {
	return m.smtp.SetTLSConfig(&tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})
}
