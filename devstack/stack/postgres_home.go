package stack

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// awayFolder holds the clusters of checkouts that PostgreSQL's user cannot enter,
// such as one under root's home.
const awayFolder = "/var/lib/paystage-dev"

// prepareHome makes the folder of a cluster so that its owner, the user that runs
// the server, can use it, and gives where it really is. PostgreSQL refuses to run
// as root, so root hands the folder to another user.
func prepareHome(home string) (string, *syscall.Credential, error) {
	if target, err := os.Readlink(home); err == nil {
		if err := makeAwayFolder(); err != nil {
			return "", nil, err
		}
		return ownHome(target)
	}
	if _, err := os.Stat(home); err == nil {
		return ownHome(home)
	}
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return "", nil, err
	}
	owner, err := serverUser()
	if err != nil {
		return "", nil, err
	}
	if canEnter(filepath.Dir(home), owner) {
		return ownHome(home)
	}
	if err := makeAwayFolder(); err != nil {
		return "", nil, err
	}
	target := awayHome(home)
	if err := os.Symlink(target, home); err != nil {
		return "", nil, err
	}
	return ownHome(target)
}

// ownHome makes a real folder for a cluster, unless it is there, and gives who
// owns it: an existing cluster is run by the user that made it.
func ownHome(home string) (string, *syscall.Credential, error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", nil, err
	}
	// Its processes are found by this path, so it must be the one the kernel knows.
	home, err := filepath.EvalSymlinks(home)
	if err != nil || os.Geteuid() != 0 {
		return home, nil, err
	}
	info, err := os.Stat(home)
	if err != nil {
		return "", nil, err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
		return home, &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}, nil
	}
	owner, err := serverUser()
	if err != nil {
		return "", nil, err
	}
	return home, owner, os.Chown(home, int(owner.Uid), int(owner.Gid))
}

// serverUser is who runs PostgreSQL: nil, ourselves, unless we are root.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(account.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("read user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root and there is no user postgres or nobody to run it")
}

// canEnter tries it as that user, which heeds every mode, ACL and mount on the way.
func canEnter(folder string, who *syscall.Credential) bool {
	cmd := exec.Command("/bin/true")
	cmd.Dir = folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	return cmd.Run() == nil
}

// makeAwayFolder makes the folder that everybody can pass through, whatever root's
// umask says.
func makeAwayFolder() error {
	if err := os.MkdirAll(awayFolder, 0o755); err != nil {
		return err
	}
	return os.Chmod(awayFolder, 0o755)
}

func awayHome(home string) string {
	hash := sha256.Sum256([]byte(home))
	return filepath.Join(awayFolder, hex.EncodeToString(hash[:8]))
}

// RemoveCluster removes a cluster that does not run, wherever its data is.
func RemoveCluster(home string) error {
	target, err := os.Readlink(home)
	if err == nil && strings.HasPrefix(target, awayFolder+"/") {
		if err := os.RemoveAll(target); err != nil {
			return fmt.Errorf("remove cluster: %w", err)
		}
	}
	if err := os.RemoveAll(home); err != nil {
		return fmt.Errorf("remove cluster: %w", err)
	}
	return nil
}

// readOrMakeSecret gives the secret a 0600 file holds, making both on first use.
func readOrMakeSecret(path string, who *syscall.Credential) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	secret := rand.Text()
	if err := replaceFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", err
	}
	if who == nil {
		return secret, nil
	}
	return secret, os.Chown(path, int(who.Uid), int(who.Gid))
}
