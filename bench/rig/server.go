package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"clientele/auth"
)

// Server is the product under test.
type Server struct {
	// Addr is HOST:PORT.
	Addr    string
	Process *Process
	// profiles is where profiles are to be had, HOST:PORT.
	profiles string
	folder   string
	words    *tail
}

// StartServer starts the product, as `serve` ships, on the data set, and gives the account its
// callback credentials. With stamps it notes there when the COMMIT of each numbered message
// returned.
func (r *Rig) StartServer(ctx context.Context, stamps *Stamps) error {
	if err := r.start(ctx, stamps); err != nil {
		return fmt.Errorf("start the product: %w", err)
	}
	token, err := r.token(auth.RoleAdmin, "bench")
	if err != nil {
		return err
	}
	return r.Ask(ctx, token, `mutation { setCallbackCredentials(input: {mode: PLAIN, token: "`+callbackToken+`"}) { account { id } } }`, nil, nil)
}

// StopServer stops the product, if it runs.
func (r *Rig) StopServer() (err error) {
	s := r.Server
	if s == nil {
		return nil
	}
	r.Server = nil
	if s.Process != nil {
		if err = s.Process.Stop(); err != nil {
			err = fmt.Errorf("%w\n%s", err, s.words)
		}
	}
	if s.folder != "" {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	return err
}

// PID is the product's process.
func (s *Server) PID() int { return s.Process.PID() }

// command is the product's: its binary, or, where something is asked that the binary cannot tell,
// this program with the product inside.
func (r *Rig) command(ctx context.Context, s *Server, stamps *Stamps) (_ *exec.Cmd, err error) {
	settings := []string{
		"CLIENTELE_ADDR=127.0.0.1:0", "CLIENTELE_DB=" + r.Database.DSN(r.Set.Name),
		"CLIENTELE_TOKEN_SECRETS=" + secretID + "=" + secret, "CLIENTELE_MASTER_KEYS=" + secretID + "=" + masterKey,
	}
	if r.Lanes > 0 {
		settings = append(settings, "CLIENTELE_LANES="+strconv.Itoa(r.Lanes))
	}
	if stamps != nil || r.Profile != "" || r.Inside {
		if stamps != nil {
			settings = append(settings, stampsEnv+"="+stamps.file)
		}
		if r.Profile != "" {
			settings = append(settings, profileEnv+"=on")
		}
		return helper("product", settings)
	}
	binary := r.Binary
	if binary == "" {
		if s.folder, err = os.MkdirTemp("", "clientele-binary-"); err != nil {
			return nil, err
		}
		binary = filepath.Join(s.folder, "clientele")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "clientele/cmd/clientele").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build it: %w\n%s", err, out)
		}
	}
	cmd := exec.Command(binary, "serve") // Stop ends it, in order.
	cmd.Env = append(os.Environ(), settings...)
	return cmd, nil
}

func (r *Rig) start(ctx context.Context, stamps *Stamps) error {
	s := &Server{words: &tail{}}
	r.Server = s
	cmd, err := r.command(ctx, s, stamps)
	if err != nil {
		return err
	}
	cmd.Stderr = s.words
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout = in
	s.Process, err = startProcess("the product", cmd)
	_ = in.Close() // the process has its own
	if err != nil {
		return errors.Join(err, out.Close())
	}
	printed := lines(out)
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if r.Profile != "" {
		if s.profiles, err = awaitLine(ctx, printed, profilesLine, s.Process.ended); err != nil {
			return fmt.Errorf("%w\n%s", err, s.words)
		}
	}
	if s.Addr, err = awaitLine(ctx, printed, readyLine, s.Process.ended); err != nil {
		return fmt.Errorf("%w\n%s", err, s.words)
	}
	return nil
}

// answerBytes bounds what is read of an answer.
const answerBytes = 8 << 20

// Ask runs a query or mutation over HTTP and reads its data into out, unless that is nil.
func (r *Rig) Ask(ctx context.Context, token, document string, variables map[string]any, out any) error {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
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

// Metrics are the product's figures by name; of one with labels their sum.
func (r *Rig) Metrics(ctx context.Context) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Server.Addr+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept-Encoding", "identity") // to compress it would cost the product more than to answer
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
		line = strings.TrimSpace(line)
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		name := line[:end]
		figure, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: %s: %w", name, err)
		}
		name, _, _ = strings.Cut(name, "{")
		figures[name] += figure
	}
	return figures, nil
}

// LiveHeap is how many bytes of the heap were live when the collector last ended, as its next goal
// tells: with GOGC at 100 that is twice them and the stacks. The ballast is not among them.
func LiveHeap(figures map[string]float64) float64 {
	return (figures["go_memstats_next_gc_bytes"]-figures["go_memstats_stack_inuse_bytes"])/2 - figures["clientele_heap_ballast_bytes"]
}
