package services

import (
	"reflect"
	"strings"
	"testing"

	"clientele/events"
	"clientele/internal/testkit"
	"clientele/models"
)

// Ensure every kind of events of the account's stream is told by webhooks, each by a type of its own, and no other is.
func TestWebhookEventsAreComplete(t *testing.T) {
	types := map[string]bool{webhookWithdrawn: true, webhookEventsLost: true, webhookLogRestored: true, webhookTest: true}
	kinds := testkit.Constants(t, "../models", "AccountEventKind")
	for _, kind := range kinds {
		of, found := webhookEvents[models.AccountEventKind(kind)]
		if !found || of.of == "" || of.data == nil || types[of.of] {
			t.Errorf("%s has no payload, or the type of another: %q", kind, of.of)
		}
		types[of.of] = true
	}
	if len(webhookEvents) != len(kinds) {
		t.Errorf("%d payloads for %d kinds", len(webhookEvents), len(kinds))
	}
}

// Ensure a payload holds nothing that people wrote or are called, and is withdrawn once its customer was erased, or its subject is gone.
func TestWebhookEventsAreThin(t *testing.T) {
	const text = "a text of somebody"
	full := func() *models.Primed {
		p := &models.Primed{}
		v := reflect.ValueOf(p).Elem()
		for i := range v.NumField() {
			if v.Field(i).Kind() != reflect.Pointer {
				continue
			}
			row := reflect.New(v.Field(i).Type().Elem())
			v.Field(i).Set(row)
			for j := range row.Elem().NumField() {
				switch f := row.Elem().Field(j); f.Type() {
				case reflect.TypeFor[string]():
					f.SetString(text)
				case reflect.TypeFor[models.Lines]():
					f.Set(reflect.ValueOf(models.Lines{text}))
				case reflect.TypeFor[models.Key]():
					f.Set(reflect.ValueOf(models.NewKey()))
				}
			}
		}
		return p
	}
	w := &models.Webhook{AccountID: models.NewKey(), Key: models.NewKey()}
	for kind, of := range webhookEvents {
		e := &models.Event{Account: w.AccountID, Stream: w.AccountID, Seq: 7, Kind: models.EventKind(kind), At: 1, Customer: models.NewKey(), Subject: models.NewKey()}
		body := func(subject *models.Primed) string {
			t.Helper()
			b, err := eventParcel(e, events.Epoch{}).body(w, subject)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		if got := body(full()); strings.Contains(got, text) || !strings.Contains(got, of.of) || strings.Contains(got, webhookWithdrawn) {
			t.Errorf("%s is told as %s", kind, got)
		}
		erased := full()
		erased.Customer.ErasedAt = 1
		gone := []*models.Primed{{}}
		switch {
		case kind == models.AccountCustomersImported: // it is about nobody
			gone = nil
		case kind.Ended() == "":
			gone = append(gone, erased)
		}
		for _, subject := range gone {
			if got := body(subject); !strings.Contains(got, `"type":"withdrawn"`) || !strings.Contains(got, `"data":{}`) || !strings.Contains(got, `"sequence":7`) {
				t.Errorf("%s of whom nobody may be told is told as %s", kind, got)
			}
		}
	}
	e := &models.Event{Account: w.AccountID, Stream: w.AccountID, Seq: 7, Kind: "OF_A_NEWER_RELEASE"}
	if _, err := eventParcel(e, events.Epoch{}).body(w, full()); err != errUnknownEvent { //nolint:errorlint // it is that one.
		t.Errorf("an unknown kind: %v", err)
	}
}
