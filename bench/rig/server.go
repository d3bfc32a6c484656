package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"clientele/auth"
	"clientele/internal/app"
	"clientele/internal/config"
)

// Server is the product under test.
type Server struct {
	// Addr is HOST:PORT.
	Addr string
	// Process is the product's; nil in this process.
	Process *Process
	// App is the product in this process, else nil.
	App *app.App

	stop   context.CancelFunc
	served chan error
	folder string
	words  *tail
}

// StartServer starts the product, as `serve` ships, on the data set, and gives the account its
// callback credentials.
func (r *Rig) StartServer(ctx context.Context) error {
	start := r.startBinary
	if r.InProcess {
		start = r.startInside
	}
	if err := start(ctx); err != nil {
		return fmt.Errorf("start the product: %w", err)
	}
	token, err := r.token(auth.RoleAdmin, "bench")
	if err != nil {
		return err
	}
	return r.Ask(ctx, token, `mutation { setCallbackCredentials(input: {mode: PLAIN, token: "`+callbackToken+`"}) { account { id } } }`, nil)
}

// StopServer stops the product, if it runs.
func (r *Rig) StopServer() error {
	s := r.Server
	if s == nil {
		return nil
	}
	r.Server = nil
	var err error
	switch {
	case s.Process != nil:
		if err = s.Process.Stop(); err != nil {
			err = fmt.Errorf("%w\n%s", err, s.words)
		}
	case s.App != nil:
		s.stop()
		err = errors.Join(<-s.served, s.App.Close())
	}
	if s.folder != "" {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	return err
}

// PID is the product's process; 0 when it runs in this one.
func (s *Server) PID() int {
	if s.Process == nil {
		return 0
	}
	return s.Process.PID()
}

func (r *Rig) startBinary(ctx context.Context) (err error) {
	s := &Server{words: &tail{}}
	r.Server = s
	binary := r.Binary
	if binary == "" {
		if s.folder, err = os.MkdirTemp("", "clientele-binary-"); err != nil {
			return err
		}
		binary = filepath.Join(s.folder, "clientele")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "clientele/cmd/clientele").CombinedOutput(); err != nil { //nolint:gosec // a folder of our own.
			return fmt.Errorf("build it: %w\n%s", err, out)
		}
	}
	cmd := exec.Command(binary, "serve") //nolint:gosec,noctx // Stop ends it, in order.
	cmd.Env = append(os.Environ(),
		"CLIENTELE_ADDR=127.0.0.1:0", "CLIENTELE_DB="+r.Database.DSN(r.Set.Name),
		"CLIENTELE_TOKEN_SECRETS="+secretID+"="+secret, "CLIENTELE_MASTER_KEYS="+secretID+"="+masterKey,
	)
	if r.Lanes > 0 {
		cmd.Env = append(cmd.Env, "CLIENTELE_LANES="+strconv.Itoa(r.Lanes))
	}
	cmd.Stderr = s.words
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout = in
	s.Process, err = startProcess("clientele", cmd)
	_ = in.Close() // the process has its own
	if err != nil {
		return errors.Join(err, out.Close())
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if s.Addr, err = awaitLine(ctx, out, "ready http://", s.Process.ended); err != nil {
		return fmt.Errorf("%w\n%s", err, s.words)
	}
	return nil
}

func (r *Rig) startInside(ctx context.Context) (err error) {
	s := &Server{words: &tail{}}
	r.Server = s
	set := config.Default()
	set.DB = config.DSN(r.Database.DSN(r.Set.Name))
	set.TokenSecrets = []config.Secret{secretID + "=" + secret}
	set.MasterKeys = []config.Secret{secretID + "=" + masterKey}
	if r.Lanes > 0 {
		set.Lanes = r.Lanes
	}
	if s.App, err = app.Open(ctx, app.Options{Settings: set, Log: slog.New(slog.NewTextHandler(s.words, nil))}); err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, s.App.Close())
	}
	s.Addr = l.Addr().String()
	var serving context.Context
	serving, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.served = make(chan error, 1)
	go func() { s.served <- s.App.Serve(serving, l, nil) }()
	return nil
}

// answerBytes bounds what is read of an answer.
const answerBytes = 8 << 20

// Ask runs a query or mutation over HTTP and reads its data into out, unless that is nil.
func (r *Rig) Ask(ctx context.Context, token, document string, out any) error {
	body, err := json.Marshal(map[string]string{"query": document})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.Server.Addr+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerBytes))
	if err != nil {
		return err
	}
	var whole struct {
		Data   json.RawMessage `json:"data"`
		Errors json.RawMessage `json:"errors"`
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		return fmt.Errorf("HTTP %d: %w", answer.StatusCode, err)
	}
	if len(whole.Errors) > 0 {
		return fmt.Errorf("the product answered %s", whole.Errors)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(whole.Data, out)
}

// Metrics are the product's figures without labels, by name.
func (r *Rig) Metrics(ctx context.Context) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Server.Addr+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerBytes))
	if err != nil {
		return nil, err
	}
	figures := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(line, "#") || strings.Contains(name, "{") {
			continue
		}
		if figures[name], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, fmt.Errorf("metrics: %s: %w", name, err)
		}
	}
	return figures, nil
}
