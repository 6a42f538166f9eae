package stack

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// installWithin bounds one installation of Debian packages, the download included.
const installWithin = 10 * time.Minute

// installScript installs the packages that are its arguments. A PostgreSQL that
// is installed for this stack must not leave a system-wide server running, so the
// cluster that Debian makes by default is declined, unless the machine's owner has
// already settled that question.
const installScript = `set -e
conf=/etc/postgresql-common/createcluster.conf
if [ ! -e "$conf" ]; then
	mkdir -p /etc/postgresql-common
	echo 'create_main_cluster = false' > "$conf"
fi
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
apt-get update -q
apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@"
`

// installPackages installs Debian packages as root, directly or through sudo when
// that asks for no password.
func installPackages(ctx context.Context, packages ...string) error {
	byHand := fmt.Sprintf("run `apt-get install %s` as root, then try again", strings.Join(packages, " "))
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%s is missing and there is no apt-get here to install it: install it, then try again",
			strings.Join(packages, " "))
	}
	ctx, cancel := context.WithTimeout(ctx, installWithin)
	defer cancel()
	argv := append([]string{"sh", "-c", installScript, "sh"}, packages...)
	if os.Geteuid() != 0 {
		if exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
			return errors.New("installing needs root, directly or through sudo without a password: " + byHand)
		}
		argv = append([]string{"sudo", "-n"}, argv...)
	}
	return runQuiet(exec.CommandContext(ctx, argv[0], argv[1:]...), byHand)
}

// InstallCompiler installs a C compiler unless there is one that works: Go's race
// detector needs it.
func InstallCompiler(ctx context.Context, progress *Progress) error {
	if compiles(ctx) {
		return nil
	}
	return progress.Step("compiler", "install Debian's gcc, for Go's race detector", func() error {
		return installPackages(ctx, "gcc", "libc6-dev")
	})
}

// browsers are the names that a Chromium goes by; tests look for the same.
var browsers = [...]string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// InstallBrowser installs a Chromium unless there is one: pages are tested in it.
func InstallBrowser(ctx context.Context, progress *Progress) error {
	for _, name := range browsers {
		if _, err := exec.LookPath(name); err == nil {
			return nil
		}
	}
	return progress.Step("browser", "install Debian's chromium, in which pages are tested", func() error {
		return installPackages(ctx, "chromium")
	})
}

// compiles tries the compiler that go would call, headers included.
func compiles(ctx context.Context) bool {
	compiler := strings.Fields(cmp.Or(strings.TrimSpace(os.Getenv("CC")), "gcc"))
	cmd := exec.CommandContext(ctx, compiler[0], append(compiler[1:], "-x", "c", "-c", "-o", os.DevNull, "-")...)
	cmd.Stdin = strings.NewReader("#include <stdlib.h>\n")
	return cmd.Run() == nil
}

// runQuiet runs a command and gives the end of what it printed when it fails.
func runQuiet(cmd *exec.Cmd, hint string) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(out.String())
		if len(text) > tailBytes {
			text = text[len(text)-tailBytes:]
		}
		return fmt.Errorf("%s: %w; %s\n%s", strings.Join(cmd.Args[:min(2, len(cmd.Args))], " "), err, hint, text)
	}
	return nil
}
