package api

import (
	"io"
	"net/http"
)

// returnPage is where a bank sends the customer back to when the company has no
// page of its own for that.
const returnPage = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Back from your bank</title>
<style>body{font:18px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;color:#1a1a1a}</style></head>
<body><main><h1>Back from your bank</h1>
<p>Your bank has told us its answer. You can close this page and go back to where you came from: your purchase or your card shows there how it goes on.</p>
<p>Please don't pay again.</p></main></body>
</html>
`

func showReturnPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = io.WriteString(w, returnPage)
}
