package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/paystage/paystage/devstack/stack"
)

func newClean() *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Remove the state of the local stack, its database included",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			p, err := findPlaces()
			if err != nil {
				return err
			}
			if err := stack.Clean(p.dir); err != nil {
				return err
			}
			fmt.Println("removed", p.dir)
			return nil
		},
	}
}
