package config

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

// There is no Docker engine where the tests run, so docker-compose.yml, its
// settings and the Dockerfile are held against what they name: the schema of
// compose files, the variables that this package reads, and the programs.

const root = ".."

// compose loads docker-compose.yml as `docker compose` does, with every profile
// and the settings of .env.example, and of nothing else.
func compose(t *testing.T, without ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root), cli.WithEnvFiles(filepath.Join(root, ".env.example")), cli.WithDotEnv,
		cli.WithProfiles([]string{"*"}))
	require.NoError(t, err)
	for _, name := range without {
		delete(options.Environment, name)
	}
	return options.LoadProject(t.Context())
}

func mustCompose(t *testing.T) *types.Project {
	t.Helper()
	project, err := compose(t)
	require.NoError(t, err)
	return project
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(text)
}

func TestComposeFileIsWhole(t *testing.T) {
	project := mustCompose(t)
	var names []string
	for name := range project.AllServices() {
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{
		"postgres", "temporal-postgres", "temporal", "temporal-ui", "migrate", "schedule", "worker", "starter",
		"stripesim", "gateway-1", "gateway-2",
	}, names)
}

// Without a file of settings nothing starts on defaults that somebody else knows.
func TestComposeAsksForItsSecrets(t *testing.T) {
	for _, secret := range []string{
		"PAYSTAGE_DB_PASSWORD", "TEMPORAL_DB_PASSWORD", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "PAYSTAGE_GATEWAY_SIGNING_KEYS",
	} {
		_, err := compose(t, secret)
		require.ErrorContains(t, err, secret)
	}
}

// TestComposeSettings: .env.example sets what docker-compose.yml uses, and no more.
func TestComposeSettings(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root), cli.WithInterpolation(false))
	require.NoError(t, err)
	model, err := options.LoadModel(t.Context())
	require.NoError(t, err)
	used := []string{"COMPOSE_PROFILES"} // by docker compose itself
	for name := range template.ExtractVariables(model, template.DefaultPattern) {
		used = append(used, name)
	}
	var set []string
	for line := range strings.Lines(read(t, ".env.example")) {
		if name, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			set = append(set, name)
		}
	}
	require.ElementsMatch(t, used, set)
}

var pinned = regexp.MustCompile(`^[a-z0-9./-]+:\d+(\.\d+)+$`)

func TestComposeImagesArePinned(t *testing.T) {
	for name, service := range mustCompose(t).AllServices() {
		if service.Build == nil {
			require.Regexp(t, pinned, service.Image, name)
		}
	}
	for _, stage := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		if stage[1] != "scratch" && stage[1] != "base" {
			require.Regexp(t, pinned, stage[1])
		}
	}
}

// Temporal is the SDK's to configure; these are the names of its own that we use.
var temporalNames = []string{"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"}

// variables are the names that a program's configuration is read from.
func variables(configuration any) (all, required []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeOf(configuration)) {
		name, rest, _ := strings.Cut(field.Tag.Get("env"), ",")
		if name == "" {
			continue
		}
		all = append(all, name)
		if slices.Contains(strings.Split(rest, ","), "required") {
			required = append(required, name)
		}
	}
	return append(all, temporalNames...), append(required, temporalNames...)
}

// TestComposeConfiguresThePrograms loads the configuration of worker and front
// door from exactly what their services get.
func TestComposeConfiguresThePrograms(t *testing.T) {
	for name, program := range map[string]struct {
		configuration any
		load          func() error
	}{
		"worker": {Worker{}, func() error { _, err := LoadWorker(); return err }},
		"starter": {Serve{}, func() error {
			c, err := LoadServe()
			if err == nil {
				require.Equal(t, ":8080", c.Listen, "the port that is published")
			}
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			service := mustCompose(t).AllServices()[name]
			known, required := variables(program.configuration)
			for _, variable := range known {
				t.Setenv(variable, "") // and back when the test ends
				require.NoError(t, os.Unsetenv(variable))
			}
			for variable, value := range service.Environment {
				require.Contains(t, known, variable, "not read by the program")
				t.Setenv(variable, *value)
			}
			for _, variable := range required {
				require.Contains(t, service.Environment, variable)
			}
			require.NoError(t, program.load())
		})
	}
}

var (
	built      = regexp.MustCompile(`go build .*-o /out/(\S+)\s+(\./\S+)`)
	entrypoint = regexp.MustCompile(`(?m)^FROM base AS (\S+)\nCOPY --from=build /out/(\S+) /(\S+)\nENTRYPOINT \["/(\S+)"\]`)
)

// TestComposeCommandsExist builds what the Dockerfile builds and asks each program
// for help with the command of its service: a command or a flag that is not there
// is refused.
func TestComposeCommandsExist(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the programs")
	}
	dockerfile := read(t, "Dockerfile")
	packages := map[string]string{}
	for _, line := range built.FindAllStringSubmatch(dockerfile, -1) {
		packages[line[1]] = line[2]
	}
	programs, bin := map[string]string{}, t.TempDir()
	for _, stage := range entrypoint.FindAllStringSubmatch(dockerfile, -1) {
		target, program := stage[1], stage[2]
		require.Equal(t, []string{program, program}, stage[3:], "the stage %s runs what it copies", target)
		require.Contains(t, packages, program)
		programs[target] = filepath.Join(bin, program)
		build := exec.Command("go", "build", "-o", programs[target], packages[program])
		build.Dir = root
		out, err := build.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	for name, service := range mustCompose(t).AllServices() {
		if service.Build == nil {
			continue
		}
		require.Contains(t, programs, service.Build.Target, name)
		if len(service.Command) == 0 {
			continue // the worker takes none
		}
		out, err := exec.Command(programs[service.Build.Target], append(service.Command, "--help")...).CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
		if service.Build.Target == "starter" {
			require.Contains(t, string(out), "starter "+service.Command[0], "its own help and not the list of commands")
		}
	}
}
