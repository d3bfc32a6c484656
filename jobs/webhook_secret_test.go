package jobs_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// Ensure both secrets sign for seven days after a rotation, the new one alone after them, and that no secret is in the database in the clear (rule A4).
func TestWebhookRotates(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, first := h.hook(r.URL)
		next := func() string {
			t.Helper()
			_, secret, err := h.n.RotateWebhookSecret(h.asAdmin(), w.Key)
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
		signed := func(what, want string, secrets ...string) {
			t.Helper()
			h.change(0, 1)
			h.turn()
			got := r.take()
			if len(got) != 1 {
				t.Fatalf("%s: %v", what, told(got))
			}
			plain := make([][]byte, len(secrets))
			all := ""
			for i, s := range secrets {
				plain[i], _ = base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
				if strings.Contains(got[0].signature, models.SignWebhook(plain[i:i+1], got[0].id, got[0].seconds, got[0].raw)) {
					all += "y"
				} else {
					all += "n"
				}
			}
			if all != want || len(strings.Fields(got[0].signature)) != strings.Count(want, "y") {
				t.Errorf("%s: %s, want %s: %q", what, all, want, got[0].signature)
			}
		}
		second := next()
		until := h.row(w).OldSecretUntil()
		signed("at once", "yyn", first, second, "whsec_")
		h.clock.Set(until.Add(-time.Microsecond).Go())
		signed("just before the end", "yy", first, second)
		h.clock.Set(until.Go())
		signed("at the end", "ny", first, second)
		if now := h.row(w); len(now.SealedOld) > 0 || now.OldSecretUntil() != 0 {
			t.Error("the old secret is kept")
		}
		third := next()
		fourth := next()
		signed("twice", "nnyy", first, second, third, fourth)
		for _, secret := range []string{first, second, third, fourth} {
			plain, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
			if places := testkit.Holding(t, h.store, secret, strings.TrimPrefix(secret, "whsec_"), string(plain)); places != nil {
				t.Errorf("a secret is in %v", places)
			}
		}
	})
}

// pass has the pauses of receivers that failed be over, and those after a fault of this side, which a machine that is too busy for a
// transaction brings; and no more time pass: leases go on, however slow this machine is.
func (h *hooks) pass() {
	h.tb.Helper()
	rows, err := h.store.View(h.tb.Context()).Webhooks(h.account.Key)
	if err != nil {
		h.tb.Fatal(err)
	}
	for _, w := range rows {
		now := h.clock.Time()
		switch {
		case !w.LeasedBy.IsZero():
		case w.RetryAt > now && !w.FailingSince.IsZero():
			h.clock.Set(w.RetryAt.Go())
		case w.DueAt > now && w.DueAt <= now.Add(limits.WebhookErrorPause):
			h.clock.Set(w.DueAt.Go())
		}
	}
}

// retain has one pass of retention be made, now.
func (h *hooks) retain() services.Retained {
	h.tb.Helper()
	h.exec("UPDATE sweep SET leased_until = 0")
	done, err := h.n.Retain(h.tb.Context(), func(context.Context) error { return nil })
	if err != nil {
		h.tb.Fatal(err)
	}
	return done
}

// Ensure a replaced secret leaves the database when its time is over and not before, whatever the webhook's state and though nothing is sent; that one which was replaced anew
// meanwhile stays (rule A4).
func TestWebhookSecretsKept(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h := newHooks(t, dsn)
		other := &hooks{shop: newShop(t, h.store, 1), n: h.n, clock: h.clock}
		const url = "http://crm.invalid"
		active, _ := h.hook(url)
		paused, _ := h.hook(url)
		again, _ := h.hook(url)
		foreign, _ := other.hook(url)
		never, _ := h.hook(url)
		yes := true
		h.update(paused, services.WebhookChange{Paused: &yes})
		rotate := func(h *hooks, w *models.Webhook) {
			t.Helper()
			if _, _, err := h.n.RotateWebhookSecret(h.asAdmin(), w.Key); err != nil {
				t.Fatal(err)
			}
		}
		rotate(h, active)
		rotate(h, paused)
		rotate(h, again)
		rotate(other, foreign)
		ends := h.clock.Time().Add(limits.WebhookSecretOverlap)
		h.clock.Advance(time.Second)
		rotate(h, again)
		h.clock.Set(ends.Add(-time.Microsecond).Go())
		if n := h.retain().Secrets; n != 0 || h.row(active).OldSecretUntil() != ends || len(other.row(foreign).SealedOld) == 0 {
			t.Errorf("%d were dropped before their time", n)
		}
		before := h.row(active)
		h.clock.Set(ends.Go())
		if n := h.retain().Secrets; n != 3 {
			t.Errorf("%d were dropped at their time", n)
		}
		for _, w := range []*models.Webhook{h.row(active), h.row(paused), other.row(foreign), h.row(never)} {
			if len(w.SealedOld) > 0 || len(w.SealedSecret) == 0 || w.RotatedAt != 0 || w.OldSecretUntil() != 0 {
				t.Errorf("after its time: %+v", w)
			}
		}
		if now := h.row(active); now.Revision != before.Revision || !bytes.Equal(now.SealedSecret, before.SealedSecret) {
			t.Error("dropping one changed another thing")
		}
		if now := h.row(again); now.OldSecretUntil() != ends.Add(time.Second) {
			t.Errorf("of the one that was replaced anew: %s", now.OldSecretUntil().Go())
		}
		h.clock.Advance(time.Second)
		if n := h.retain().Secrets; n != 1 || h.retain().Secrets != 0 {
			t.Errorf("then %d", n)
		}
	})
}
