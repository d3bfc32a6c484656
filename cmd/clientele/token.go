package main

import (
	"fmt"
	"runtime/debug"
	"time"

	"clientele/internal/config"
)

type tokenCommand struct {
	config.Token
}

// Run prints a token, signed with the first of the secrets.
func (c *tokenCommand) Run() error {
	issuer, err := c.NewIssuer(time.Now)
	if err != nil {
		return err
	}
	token, _, err := issuer.Issue(c.Grant())
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}

type versionCommand struct{}

// Run prints the module's version and revision, as the build recorded them.
func (*versionCommand) Run() error { //nolint:unparam // as kong calls it.
	version, revision := "devel", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	fmt.Printf("clientele %s (%s)\n", version, revision)
	return nil
}
