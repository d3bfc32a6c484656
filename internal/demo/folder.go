package demo

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"clientele/internal/config"
)

// folder is where a demo keeps what must outlive it: the embedded database, the secret that signs
// its tokens, the key that seals credentials, the tokens, and how far its story has come.
type folder struct {
	path string
	// isTemporary: it is removed at the end.
	isTemporary bool
}

const (
	privateFolder = 0o700

	tokenFolder     = "tokens"
	secretFile      = "token-secret"
	masterKeyFile   = "master-key"
	progressFile    = "demo.json"
	secretBytes     = 32
	keyID           = "demo"
	temporaryPrefix = "clientele-demo-"
)

// openFolder makes the folder and what is missing in it; path "" is a temporary one.
func openFolder(path string) (_ *folder, err error) {
	f := &folder{path: path}
	if path == "" {
		if f.path, err = os.MkdirTemp("", temporaryPrefix); err != nil {
			return nil, err
		}
		f.isTemporary = true
	}
	if f.path, err = filepath.Abs(f.path); err == nil {
		err = os.MkdirAll(f.tokens(), privateFolder)
	}
	if err == nil {
		// It may have been there, open to everybody.
		err = os.Chmod(f.tokens(), privateFolder)
	}
	for _, name := range []string{secretFile, masterKeyFile} {
		if err == nil {
			err = f.secret(name)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("data folder: %w", err), f.close())
	}
	return f, nil
}

// close removes a temporary folder.
func (f *folder) close() error {
	if !f.isTemporary {
		return nil
	}
	return os.RemoveAll(f.path)
}

func (f *folder) tokens() string { return filepath.Join(f.path, tokenFolder) }

func (f *folder) token(name string) string { return filepath.Join(f.tokens(), name+".jwt") }

// secret makes a file of random hexadecimal digits, once: with another secret, tokens and sealed
// credentials of the run before would be worthless.
func (f *folder) secret(name string) error {
	path := filepath.Join(f.path, name)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // it never fails.
	return write(path, []byte(hex.EncodeToString(b)))
}

// settle gives the server's settings the folder and its keys.
func (f *folder) settle(s *config.Server) {
	s.Data = f.path
	s.TokenSecrets = []config.Secret{config.Secret(keyID + "=@" + filepath.Join(f.path, secretFile))}
	s.MasterKeys = []config.Secret{config.Secret(keyID + "=@" + filepath.Join(f.path, masterKeyFile))}
}

// progress is how far the demo has come in this folder.
type progress struct {
	// Account is the global id of the demo's account; empty before there is one.
	Account string `json:"account"`
	// Seed and Customers are those of the story that Step belongs to.
	Seed      int64 `json:"seed"`
	Customers int   `json:"customers"`
	// Step is how many steps of the story were taken.
	Step int `json:"step"`
	// Arrived is how many customers of Seed were set up without a story.
	Arrived int `json:"arrived"`
}

// progress is what was saved, or nothing when nothing was.
func (f *folder) progress() (p progress, err error) {
	text, err := os.ReadFile(filepath.Join(f.path, progressFile))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return p, fmt.Errorf("%s: %w", progressFile, err)
	}
	return p, nil
}

func (f *folder) save(p progress) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return write(filepath.Join(f.path, progressFile), append(text, '\n'))
}

// write replaces a file as a whole; only its owner may read it.
func write(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-") // made with mode 0600.
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
