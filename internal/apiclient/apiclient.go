// Package apiclient asks a server's GraphQL API over HTTP, as any client could. It knows nothing of the schema but the form of an answer.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// answerBytes bounds what is read of an answer.
const answerBytes = 8 << 20

// Vars are the variables of an operation.
type Vars map[string]any

// Client asks with one token. It is safe for concurrent use.
type Client struct {
	HTTP *http.Client
	// URL is where the API is, Token is sent as a bearer token.
	URL, Token string
}

// Refusal is an error of the API.
type Refusal struct {
	Message    string `json:"message"`
	Extensions struct {
		Code  string `json:"code"`
		Field string `json:"field"`
	} `json:"extensions"`
}

// Error implements error.
func (r *Refusal) Error() string { return r.Extensions.Code + ": " + r.Message }

// Ask runs a query or mutation and reads its data into out; nil: nobody wants it. The first error of an answer is returned as a
// *Refusal. What ctx cuts off may have been carried out or not.
func (c Client) Ask(ctx context.Context, document string, v Vars, out any) error {
	body, err := json.Marshal(map[string]any{"query": document, "variables": v})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.Token)
	answer, err := c.HTTP.Do(r)
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
		return fmt.Errorf("%s is no answer of the API (status %d)", c.URL, answer.StatusCode)
	}
	if len(whole.Errors) > 0 {
		return whole.Errors[0]
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(whole.Data, out)
}
