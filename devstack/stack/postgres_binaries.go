package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// debianServers is where Debian keeps the server programs, one folder a version.
const debianServers = "/usr/lib/postgresql/*/bin"

// findPostgres gives the folder of PostgreSQL's server programs, installing
// Debian's package where there are none. An existing cluster names the major
// version it needs; "" takes the newest.
func findPostgres(ctx context.Context, major string, progress *Progress) (string, error) {
	if bin, ok := lookForPostgres(major); ok {
		return bin, nil
	}
	if _, ok := lookForPostgres(""); ok {
		return "", fmt.Errorf("the cluster here was made by PostgreSQL %s, which is not installed: "+
			"install it, or start over with `make clean`", major)
	}
	err := progress.Step("postgres", "install Debian's postgresql, once", func() error {
		return installPackages(ctx, "postgresql")
	})
	if err != nil {
		return "", err
	}
	if bin, ok := lookForPostgres(major); ok {
		return bin, nil
	}
	return "", fmt.Errorf("postgresql is installed but there is no server in %s", debianServers)
}

func lookForPostgres(major string) (bin string, ok bool) {
	var folders []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(real))
		}
	}
	debian, err := filepath.Glob(debianServers)
	if err != nil {
		return "", false
	}
	slices.SortFunc(debian, func(a, b string) int { return debianMajor(b) - debianMajor(a) })
	for _, folder := range append(folders, debian...) {
		if hasServer(folder) && (major == "" || serverMajor(folder) == major) {
			return folder, true
		}
	}
	return "", false
}

func debianMajor(bin string) int {
	major, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	if err != nil {
		return 0
	}
	return major
}

func hasServer(folder string) bool {
	for _, program := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(filepath.Join(folder, program)); err != nil {
			return false
		}
	}
	return true
}

// serverMajor asks the server itself: "postgres (PostgreSQL) 15.14 (Debian ...)".
func serverMajor(folder string) string {
	out, err := exec.Command(filepath.Join(folder, "postgres"), "--version").Output()
	if err != nil {
		return ""
	}
	words := strings.Fields(string(out))
	if len(words) < 3 {
		return ""
	}
	major, _, _ := strings.Cut(words[2], ".")
	return major
}
