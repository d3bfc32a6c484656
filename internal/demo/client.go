package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// bearer asks the API by POST with one token. It is safe for concurrent use.
type bearer struct {
	http  *http.Client
	url   string
	token string
}

const (
	// requestTime is how long one request may take; the product's own limit is shorter.
	requestTime = 30 * time.Second
	// lastWords is how long a request may go on after its context ended: one that is cut off may
	// have been carried out or not, and this one is soon answered.
	lastWords = time.Second
)

// Refusal is the first error of an answer.
type Refusal struct {
	Message    string `json:"message"`
	Extensions struct {
		Code string `json:"code"`
	} `json:"extensions"`
}

// Error implements error.
func (r *Refusal) Error() string { return r.Extensions.Code + ": " + r.Message }

type vars map[string]any

// answerBytes bounds what is read of an answer.
const answerBytes = 8 << 20

// ask runs a query or mutation and reads its data into out. Errors of the API are a *Refusal.
// What was asked before ctx ended is given lastWords to be answered.
func (b bearer) ask(ctx context.Context, document string, v vars, out any) error {
	body, err := json.Marshal(map[string]any{"query": document, "variables": v})
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	r, err := http.NewRequestWithContext(asking, http.MethodPost, b.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+b.token)
	answer, err := b.http.Do(r)
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
		return fmt.Errorf("HTTP %d: %w", answer.StatusCode, err)
	}
	if len(whole.Errors) > 0 {
		return whole.Errors[0]
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(whole.Data, out)
}
