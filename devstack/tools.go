package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/paystage/paystage/devstack/stack"
)

func newTools() *cobra.Command {
	return &cobra.Command{
		Use:   "tools",
		Short: "Get what the tests and linters need: the pinned linters, a C compiler for the race detector, a browser, Redis",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := findPlaces()
			if err != nil {
				return err
			}
			dir, err := stack.MakeDir(p.dir)
			if err != nil {
				return err
			}
			progress := stack.NewProgress(os.Stderr)
			if err := stack.InstallCompiler(cmd.Context(), progress); err != nil {
				return err
			}
			if err := stack.InstallBrowser(cmd.Context(), progress); err != nil {
				return err
			}
			if err := stack.InstallRedis(cmd.Context(), progress); err != nil {
				return err
			}
			return stack.InstallTools(cmd.Context(), p.root, dir, progress)
		},
	}
}
