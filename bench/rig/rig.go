package rig

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"clientele/auth"
)

// Flags are what every program takes.
type Flags struct {
	Data       string `placeholder:"FOLDER" help:"Folder of the private database, on a real disk; without it a temporary one."`
	Keep       bool   `help:"Leave the data set, so that the next run with the same --data or --dsn finds it made."`
	DSN        string `placeholder:"DSN" help:"Use this MariaDB or MySQL, on which databases may be made, instead of a private one."`
	BufferPool string `default:"1G" placeholder:"SIZE" help:"The private database's buffer pool."`
	Binary     string `placeholder:"FILE" help:"The product's binary; without it, it is built."`
	Profile    string `placeholder:"FOLDER" help:"Write profiles of the product: of the processor over the measured time; of locks, blocking, allocations and goroutines at its end. The product is then built into this program and started from it."`
	Lanes      int    `help:"The product's --lanes; 0 for its default."`

	// Inside starts the product from this program instead of its binary: what tests do, to build it
	// once.
	Inside bool `kong:"-"`
	// Say is told what is being done; nil: nobody.
	Say io.Writer `kong:"-"`
}

// Rig is a database with its data set and, once started, the product on it.
type Rig struct {
	Flags
	Database *Database
	Set      *Dataset
	Server   *Server
	issuer   *auth.Issuer
}

// The secrets of the product under test. They guard nothing.
const (
	secretID  = "bench"
	secret    = "a secret that signs nothing but benchmarks"
	masterKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

// New opens the database and finds or makes the data set. Close it.
func New(ctx context.Context, f Flags, shape Shape) (_ *Rig, err error) {
	r := &Rig{Flags: f}
	key, err := auth.NewSecretKey(secretID, []byte(secret))
	if err != nil {
		return nil, err
	}
	if r.issuer, err = auth.NewIssuer(key, auth.Options{Issuer: "clientele", Audience: "clientele", Now: time.Now}); err != nil {
		return nil, err
	}
	if r.Database, err = openDatabase(ctx, f); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.Database.folder != "" {
		if kind := filesystem(r.Database.folder); kind == "tmpfs" || kind == "ramfs" {
			r.Tell("THE DATABASE IS ON %s AND PAYS NOTHING FOR DURABILITY; name a folder on a disk with --data", kind)
		}
	}
	r.Set, err = ensureDataset(ctx, r.Database, shape, f.Keep, r.Tell)
	return r, err
}

// Tell says what is being done.
func (r *Rig) Tell(format string, args ...any) {
	if r.Say != nil {
		fmt.Fprintf(r.Say, "# "+format+"\n", args...)
	}
}

// Close stops whatever was started, and removes what is not to be kept.
func (r *Rig) Close() error {
	err := r.StopServer()
	if r.Set != nil && r.Database.Process == nil && !r.Keep {
		err = errors.Join(err, r.Set.drop(r.Database))
	}
	return errors.Join(err, r.Database.Close())
}

// tokenLife outlasts every run.
const tokenLife = 24 * time.Hour

// AdvisorToken is a token of the i-th advisor.
func (r *Rig) AdvisorToken(i int) (string, error) {
	return r.token(auth.RoleAdvisor, auth.AdvisorSubject(auth.SubjectOpenID, AdvisorOpenID(i)))
}

// AdminToken is a token of the merchant's console.
func (r *Rig) AdminToken() (string, error) { return r.token(auth.RoleAdmin, "bench") }

func (r *Rig) token(role auth.Role, subject string) (string, error) {
	token, _, err := r.issuer.Issue(auth.Grant{Role: role, Account: hex.EncodeToString(r.Set.Account[:]), Subject: subject, Life: tokenLife})
	return token, err
}
