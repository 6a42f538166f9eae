package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	defaultStopWithin = 15 * time.Second
	tailLines         = 15
	tailBytes         = 16 << 10
)

// Command says what to run as a part of the stack.
type Command struct {
	Name string
	Path string
	Args []string
	// Env is the whole environment as NAME=value; nil means this process's own.
	Env []string
	Dir string
	// Log is the file that takes what the process prints. The log of the run
	// before is kept beside it with .old. Without one it prints where we do.
	Log string
	// User is who runs it; nil means who we are.
	User *syscall.Credential
	// StopSignal asks it to end; zero means SIGTERM.
	StopSignal syscall.Signal
	// StopWithin is how long it may take to end before SIGKILL; zero means 15 s.
	StopWithin time.Duration
	// DeathSignal is what the kernel sends it when we die; zero means SIGKILL.
	DeathSignal syscall.Signal
}

// Process is a running child in a process group of its own. It cannot outlive
// this process: the kernel kills it when the thread that started it ends, and
// that thread is kept for as long as the child runs.
type Process struct {
	command Command
	cmd     *exec.Cmd
	done    chan struct{}
	state   error
}

// ExitError says that a part of the stack ended, with the end of its log.
type ExitError struct {
	Name  string
	State string
	Log   string
	Tail  string
}

// Error names the part, how it ended and where its log is.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("%s ended: %s", e.Name, e.State)
	if e.Log != "" {
		text += "; its log is " + e.Log
	}
	if e.Tail != "" {
		text += "\n" + e.Tail
	}
	return text
}

// Start runs a command.
func Start(command Command) (*Process, error) {
	p := &Process{command: withDefaults(command), done: make(chan struct{})}
	log, err := openLog(command.Log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Name, err)
	}
	p.cmd = p.build(log)
	started := make(chan error)
	go p.run(started)
	err = <-started
	if log != nil {
		log.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Name, err)
	}
	return p, nil
}

func withDefaults(c Command) Command {
	if c.StopSignal == 0 {
		c.StopSignal = syscall.SIGTERM
	}
	if c.StopWithin == 0 {
		c.StopWithin = defaultStopWithin
	}
	if c.DeathSignal == 0 {
		c.DeathSignal = syscall.SIGKILL
	}
	return c
}

func (p *Process) build(log *os.File) *exec.Cmd {
	cmd := exec.Command(p.command.Path, p.command.Args...)
	cmd.Env = p.command.Env
	cmd.Dir = p.command.Dir
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if log != nil {
		cmd.Stdout, cmd.Stderr = log, log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,
		Pdeathsig:  p.command.DeathSignal,
		Credential: p.command.User,
	}
	return cmd
}

// run starts the child and waits for it on one locked thread: the parent-death
// signal is tied to the thread that forked, not to the process.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	p.state = p.cmd.Wait()
	// Whatever it left in its group ends with it.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	close(p.done)
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID is the process id, which is its group's id too.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited waits for the end and says how it was, with the end of the log.
func (p *Process) Exited() *ExitError {
	<-p.done
	state := "exit status 0"
	if p.state != nil {
		state = p.state.Error()
	}
	return &ExitError{Name: p.command.Name, State: state, Log: p.command.Log, Tail: tail(p.command.Log)}
}

// ExitCode waits for the end and gives its exit code as a shell would: 128 and
// the signal's number when a signal ended it.
func (p *Process) ExitCode() int {
	<-p.done
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal to the whole group.
func (p *Process) Signal(signal syscall.Signal) {
	// It may have ended by itself just now.
	_ = syscall.Kill(-p.cmd.Process.Pid, signal)
}

// Stop asks the process to end and waits for it, killing it at its bound. It
// fails when the bound was needed.
func (p *Process) Stop() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	// The leader alone is asked: it ends its own children in its own order.
	_ = p.cmd.Process.Signal(p.command.StopSignal)
	select {
	case <-p.done:
		return nil
	case <-time.After(p.command.StopWithin):
	}
	p.Kill()
	return fmt.Errorf("stop %s: it did not end within %s and was killed; its log is %s",
		p.command.Name, p.command.StopWithin, p.command.Log)
}

// Kill ends the process and its group at once with SIGKILL, as a crash would.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

func openLog(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("keep the log before: %w", err)
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return log, nil
}

// tail gives the last lines of a log, indented, and nothing when it cannot be
// read: it only illustrates an error that is being reported anyway.
func tail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	start := max(0, info.Size()-tailBytes)
	text := make([]byte, info.Size()-start)
	n, _ := file.ReadAt(text, start)
	lines := strings.Split(strings.TrimRight(string(text[:n]), "\n"), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	return "    | " + strings.Join(lines, "\n    | ")
}
