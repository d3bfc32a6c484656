// Command sandboxd stands for the platform in tests: the endpoint of channels/sandbox as a process
// of its own, with a memory of its own. It appends each message it takes to a file, a line of JSON
// each, and has it on disk before it answers. It knows nothing of repeats: a message that comes
// twice is two lines.
//
//	sandboxd -file FILE [-addr HOST:PORT] [-max-delay TIME] [-seed N] [-unavailable P] [-refuse P] [-silent P]
//
//	POST /          a message (channels/sandbox has the protocol)
//	GET  /          the file
//
// It prints the address it listens on and ends when its input does, so that it outlives nobody.
// What it does with a message is chance: with -unavailable it answers 503, with -refuse that the
// customer refuses, and takes nothing; else it takes the message and, with -silent, breaks the
// connection instead of answering. The same seed gives the same sequence of chances.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

func main() {
	var d daemon
	file := flag.String("file", "", "file to append to")
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	seed := flag.Uint64("seed", 1, "seed of what it does")
	flag.DurationVar(&d.maxDelay, "max-delay", 0, "longest time until an answer")
	flag.Float64Var(&d.unavailable, "unavailable", 0, "probability of 503")
	flag.Float64Var(&d.refuse, "refuse", 0, "probability of a refusal")
	flag.Float64Var(&d.silent, "silent", 0, "probability of no answer")
	flag.Parse()
	d.rand = rand.New(rand.NewPCG(*seed, *seed))
	if err := d.run(*file, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "sandboxd:", err)
		os.Exit(1)
	}
}

type daemon struct {
	maxDelay                    time.Duration
	unavailable, refuse, silent float64

	mu   sync.Mutex
	rand *rand.Rand
	file *os.File
}

func (d *daemon) run(file, addr string) (err error) {
	if d.file, err = os.OpenFile(file, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", d.take)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	fmt.Printf("http://%s\n", l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return (&http.Server{Handler: mux, ReadHeaderTimeout: time.Minute, IdleTimeout: 10 * time.Minute}).Serve(l)
}

// chance is what happens to one message.
type chance struct {
	delay                       time.Duration
	unavailable, refuse, silent bool
}

func (d *daemon) draw() chance {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := chance{unavailable: d.rand.Float64() < d.unavailable, refuse: d.rand.Float64() < d.refuse, silent: d.rand.Float64() < d.silent}
	if d.maxDelay > 0 {
		c.delay = time.Duration(d.rand.Int64N(int64(d.maxDelay)))
	}
	return c
}

func (d *daemon) take(w http.ResponseWriter, r *http.Request) {
	var message json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c := d.draw()
	if !c.unavailable && !c.refuse {
		if err := d.append(message); err != nil {
			fmt.Fprintln(os.Stderr, "sandboxd:", err)
			os.Exit(1) // what it took is not to be doubted
		}
	}
	select {
	case <-time.After(c.delay):
	case <-r.Context().Done():
		return
	}
	switch {
	case c.unavailable:
		w.WriteHeader(http.StatusServiceUnavailable)
	case c.refuse:
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"reason":"REFUSED"}`)
	case c.silent:
		panic(http.ErrAbortHandler)
	}
}

// append writes one line and returns once it is on disk.
func (d *daemon) append(line []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.file.Write(append(line, '\n')); err != nil {
		return err
	}
	return d.file.Sync()
}
