package uploader

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

type vars map[string]any

// answerBytes bounds what is read of an answer.
const answerBytes = 8 << 20

// requestTime is how long one request may take.
const requestTime = time.Minute

// Refusal is an error of the API.
type Refusal struct {
	Message    string `json:"message"`
	Extensions struct {
		Code  string `json:"code"`
		Field string `json:"field"`
	} `json:"extensions"`
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Extensions.Field == "" {
		return r.Extensions.Code + ": " + r.Message
	}
	return r.Extensions.Code + ": " + r.Extensions.Field + " " + r.Message
}

// passes reports whether what was refused may be allowed a moment later.
func (r *Refusal) passes() bool {
	switch r.Extensions.Code {
	case "UNAVAILABLE", "RATE_LIMITED", "INTERNAL":
		return true
	}
	return false
}

// ask is once, tried again while the server cannot be reached or cannot answer, for Patience: for what may be
// said twice.
func (u *Upload) ask(ctx context.Context, document string, v vars, out any) error {
	pause, waited := Pause, time.Duration(0)
	for {
		err := u.once(ctx, document, v, out)
		if refused := (*Refusal)(nil); err == nil || ctx.Err() != nil || errors.As(err, &refused) && !refused.passes() || waited >= Patience {
			return err
		}
		u.Tell("%v; trying again in %s", err, pause)
		if err := u.Wait(ctx, pause); err != nil {
			return err
		}
		waited += pause
		pause = min(2*pause, PauseMost)
	}
}

// once runs one operation and reads its data into out; nil: nobody wants it. Errors of the API are a *Refusal.
func (u *Upload) once(ctx context.Context, document string, v vars, out any) error {
	body, err := json.Marshal(map[string]any{"query": document, "variables": v})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+u.Token)
	answer, err := u.Client.Do(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerBytes))
	_ = answer.Body.Close() // it was read to its end or not at all.
	if err != nil {
		return err
	}
	var whole struct {
		Data   json.RawMessage `json:"data"`
		Errors []*Refusal      `json:"errors"`
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		return fmt.Errorf("%s is no answer of the API (status %d)", u.URL, answer.StatusCode)
	}
	if len(whole.Errors) > 0 {
		return whole.Errors[0]
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(whole.Data, out)
}
