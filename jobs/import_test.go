package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// asking is a channel of which nothing is wanted but who is a service agent.
type asking struct {
	sending
	ask func(people []services.Person) ([]bool, error)
}

func (c asking) ServiceAgents(_ context.Context, _ *models.Account, people []services.Person) ([]bool, error) {
	return c.ask(people)
}

// Ensure an import of advisors asks the channel once a chunk, about those whom the chunk may invite, before its transaction; that a channel which cannot be asked leaves everything as it is
// until it can; and that a closed account asks nobody (rules A1, B2, B7).
func TestImportAsksTheChannel(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s := testkit.Store(t, dsn, clock)
		account := newShop(t, s, 2).account // where two follow, and one is an advisor
		var asked [][]services.Person
		var down atomic.Bool
		n := newNode(t, s, asking{ask: func(people []services.Person) ([]bool, error) {
			asked = append(asked, people)
			if down.Load() {
				return nil, errors.New("no connection")
			}
			agents := make([]bool, len(people))
			for i, p := range people {
				agents[i] = p.OpenID == "customer-1" || p.WechatID == "w1"
			}
			return agents, nil
		}})
		admin := services.WithScope(t.Context(), &services.Scope{
			Viewer: &auth.Viewer{Role: auth.RoleAdmin, Account: account.Key.String(), Subject: "admin"}, Account: account,
		})
		file := "openid,wechat_id,nickname,state\ncustomer-0,,Mei,\ncustomer-1,,Agent,\ngone,,Gone,REMOVED\n"
		for i := range limits.ImportAdvisors {
			file += fmt.Sprintf(",w%d,W,\n", i)
		}
		i, err := n.CreateImport(admin, models.ImportAdvisors)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.UploadImport(admin, i.Key, 0, []byte(file)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := n.StartImport(admin, i.Key); err != nil {
			t.Fatal(err)
		}
		claim := func() *models.Job {
			t.Helper()
			claimed, err := n.ClaimJobs(t.Context(), 1)
			if err != nil || len(claimed) != 1 {
				t.Fatalf("claimed %v, %v", claimed, err)
			}
			return claimed[0]
		}
		down.Store(true)
		for range 2 {
			if _, err := n.StepJob(t.Context(), claim()); err == nil {
				t.Error("a chunk was done though nobody could say who is an agent")
			}
			clock.Advance(time.Minute)
		}
		if rows, err := s.View(t.Context()).CountAdvisors(account.Key, clock.Time()); err != nil || rows != 1 {
			t.Errorf("the account has %d advisors, %v", rows, err)
		}
		down.Store(false)
		j := claim()
		for range 2 {
			if j, err = n.StepJob(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
		if j.State != models.JobFinished || j.Failures != `{"ALREADY_SERVICE_AGENT":2}` || j.Changed != limits.ImportAdvisors {
			t.Errorf("the job is %+v", j)
		}
		first := []services.Person{{OpenID: "customer-0"}, {OpenID: "customer-1"}, {WechatID: "w0"}} // and not who is gone
		if len(asked) != 4 || !slices.Equal(asked[2][:3], first) || len(asked[2])+len(asked[3]) != limits.ImportAdvisors+2 {
			t.Errorf("the channel was asked about %q", asked)
		}
	})
}
