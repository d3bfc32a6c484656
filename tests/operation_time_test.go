package tests

import (
	"bytes"
	"context"
	"database/sql"
	"net/http"
	"strings"
	"testing"
	"time"

	"clientele/internal/config"
	"clientele/internal/testkit"
)

// lockTable keeps everybody from a table until the function is called that it returns: whatever asks it runs on the
// server until then.
func (w *world) lockTable(name string) (unlock func()) {
	w.tb.Helper()
	conn, err := w.db.Conn(context.Background())
	if err != nil {
		w.tb.Fatal(err)
	}
	run := func(statement string) {
		w.tb.Helper()
		if _, err := conn.ExecContext(context.Background(), statement); err != nil {
			w.tb.Fatalf("%s: %v", statement, err)
		}
	}
	run("LOCK TABLES `" + name + "` WRITE")
	return func() {
		run("UNLOCK TABLES")
		_ = conn.Close()
	}
}

// held is how many statements wait for a locked table, and for how many seconds the oldest has.
func (w *world) held() (n int64, seconds float64) {
	w.tb.Helper()
	var longest sql.NullFloat64
	err := w.db.QueryRowContext(context.Background(), `SELECT COUNT(*), MAX(time) FROM information_schema.processlist
		WHERE db = DATABASE() AND state LIKE 'Waiting for table%'`).Scan(&n, &longest)
	if err != nil {
		w.tb.Fatal(err)
	}
	return n, longest.Float64
}

// Ensure a statement of an operation ends in the database when the operation's time is over, and when its client has gone
// away (rule X2).
func TestOperationTimeInTheDatabase(t *testing.T) {
	const groups = `{"query": "{ groups { nodes { id } } }"}`
	started := func(t *testing.T, limit time.Duration) (*world, *tenant) {
		t.Helper()
		w := start(t, testkit.MySQL(t), options{settings: func(s *config.Server) { s.OperationTime = limit }})
		return w, w.found(setup{}, "main")
	}
	t.Run("time is over", func(t *testing.T) {
		w, a := started(t, 300*time.Millisecond)
		unlock := w.lockTable("advisor_group")
		if got := w.post(w.bearer("admin", a.account), []byte(groups)); got.code() != "UNAVAILABLE" {
			t.Errorf("answered %s", got.body)
		}
		w.await("nothing waits in the database", func() bool { n, _ := w.held(); return n == 0 })
		unlock()
		a.do("admin", `{ groups { nodes { id } } }`, nil)
	})
	t.Run("client is gone", func(t *testing.T) {
		w, a := started(t, time.Hour)
		unlock := w.lockTable("advisor_group")
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/graphql", bytes.NewReader([]byte(groups)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+w.bearer("admin", a.account))
		done := make(chan error, 1)
		go func() {
			resp, err := w.http.Do(r)
			if err == nil {
				_ = resp.Body.Close()
			}
			done <- err
		}()
		w.await("the statement waits", func() bool { n, _ := w.held(); return n > 0 })
		leave()
		if err := testkit.Receive(t, done); err == nil {
			t.Error("an answer came")
		}
		w.await("nothing waits in the database", func() bool { n, _ := w.held(); return n == 0 })
		unlock()
	})
	t.Run("server ends it", func(t *testing.T) {
		// The net under the contexts, as the database administrator may have drawn it: the same answer.
		w, _ := started(t, time.Hour)
		limit := "max_execution_time=50"
		if w.count("SELECT VERSION() LIKE '%MariaDB%'") == 1 {
			limit = "max_statement_time=0.05"
		}
		w.stop()
		mark := "?"
		if strings.Contains(w.dsn, mark) {
			mark = "&"
		}
		w = start(t, w.dsn+mark+limit, options{})
		a := w.found(setup{}, "other")
		unlock := w.lockTable("advisor_group")
		if got := w.post(w.bearer("admin", a.account), []byte(groups)); got.code() != "UNAVAILABLE" {
			t.Errorf("answered %s", got.body)
		}
		unlock()
	})
}

// Ensure jobs are not held to the time of an operation: one whose statement takes longer goes on.
func TestOperationTimeIsNotForJobs(t *testing.T) {
	w := start(t, testkit.MySQL(t), options{settings: func(s *config.Server) { s.OperationTime = 500 * time.Millisecond }})
	a := w.found(setup{Advisors: []string{"anna"}, Groups: []string{"tea of anna"}}, "main")
	a.crowd("c", 10)
	unlock := w.lockTable("customer")
	id := a.started(startText, "assignCustomers", unassigned, a.toGroup("tea"))
	w.await("the job has waited for longer", func() bool { _, seconds := w.held(); return seconds >= 1 })
	unlock()
	w.worked()
	if j := a.job(id); j.text("state") != "FINISHED" || j.field("changedCount") != 10.0 {
		t.Errorf("the job is %v", j.Data)
	}
}
