// Command importcheck refuses imports that go against the direction of the house:
// outer rooms may import inner ones, never the reverse, and only development and
// test code may import the Stripe double. The table is in rooms.go. It also refuses
// a test that makes a double by itself: see stripesim/judge.
//
//	importcheck [DIR]
//
// It prints one line for each such import and then ends with exit code 1.
package main

import (
	"fmt"
	"os"
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	findings, err := check(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "importcheck:", err)
		os.Exit(1)
	}
	for _, finding := range findings {
		fmt.Println(finding)
	}
	if len(findings) > 0 {
		os.Exit(1)
	}
}
