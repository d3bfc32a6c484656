package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"clientele/channels/wechat/wechattest"
	"clientele/internal/relay"
	"clientele/models"
)

// person is a customer with the advisor who answers them. Whatever is not acknowledged is sent
// again, with the same key, until it is.
type person struct {
	*rig
	advisor *advisor
	openid  string
	random  *rand.Rand
	key     models.Key // once it is known
	count   int64
	// first is where the numbers of their messages begin: the platform's are unique in an account.
	first int64
}

// refused is an answer that was an error.
type refused struct{ code, message string }

func (r *refused) Error() string { return r.code + ": " + r.message }

// passing reports whether the same request may be acknowledged later: no answer came, or one that
// says so. Everything else is a defect here, where no request is wrong.
func passing(err error) bool {
	var answered *refused
	return !errors.As(err, &answered) || answered.code == string(models.CodeUnavailable)
}

// ask runs one operation on a node.
func (r *rig) ask(n *node, token, query string, variables map[string]any) (map[string]json.RawMessage, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, n.address()+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	return r.answered(request)
}

// answered sends a request and reads the data of its answer.
func (r *rig) answered(request *http.Request) (map[string]json.RawMessage, error) {
	response, err := r.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Data   map[string]json.RawMessage
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, &refused{response.Status, string(text)}
	}
	if len(answer.Errors) > 0 {
		return nil, &refused{answer.Errors[0].Extensions.Code, answer.Errors[0].Message}
	}
	return answer.Data, nil
}

// live follows, and then writes and is answered until ctx ends.
func (p *person) live(ctx context.Context) {
	if !p.follow(ctx) {
		return
	}
	for ctx.Err() == nil && p.write(ctx) && p.key != (models.Key{}) {
		const most = 4 // below what the policy allows for one message
		if p.advisor.account.Channel != models.ChannelSandbox {
			continue // sending on the other channel is not what is tried here
		}
		for range p.random.IntN(most) {
			if !p.answer(ctx) {
				return
			}
		}
	}
}

// until does something again and again until it is acknowledged or ctx ends.
func (p *person) until(ctx context.Context, what string, do func(*node) error) bool {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for ctx.Err() == nil {
		err := do(p.nodes[p.random.IntN(len(p.nodes))])
		if err == nil {
			p.acks.Add(1)
			return true
		}
		if !passing(err) {
			p.fault("%s: %v", what, err)
			return false
		}
		p.repeats.Add(1)
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
	return false
}

// follow scans the advisor's code.
func (p *person) follow(ctx context.Context) bool {
	return p.until(ctx, "follow", func(n *node) (err error) {
		if p.advisor.account.Channel == models.ChannelWechat {
			// The platform numbers no follow: a repeat is known by its time.
			return p.calls(ctx, n, p.callbacks(n).Subscribe(p.openid, string(p.advisor.scene)))
		}
		p.key, err = p.scans(n, p.advisor, p.openid)
		return err
	})
}

// scans is the simulated follow through an advisor's code.
func (r *rig) scans(n *node, a *advisor, openid string) (models.Key, error) {
	const mutation = `mutation($openid: Identifier!, $scene: Identifier!) {
		simulateFollow(input: {openid: $openid, scene: $scene, eventId: $openid}) { customer { id } } }`
	return customerOf(r.ask(n, r.admin[a.account.Key], mutation, map[string]any{"openid": openid, "scene": a.scene}))
}

// customerOf is the customer that a simulation answers with.
func customerOf(data map[string]json.RawMessage, err error) (models.Key, error) {
	if err != nil {
		return models.Key{}, err
	}
	for _, field := range data {
		var payload struct{ Customer struct{ ID string } }
		if err := json.Unmarshal(field, &payload); err != nil {
			return models.Key{}, err
		}
		return keyOf(payload.Customer.ID)
	}
	return models.Key{}, errors.New("no data")
}

func keyOf(id string) (models.Key, error) {
	parsed, ok := relay.ParseID(id)
	if !ok {
		return models.Key{}, fmt.Errorf("%q is no id", id)
	}
	return parsed.Key, nil
}

// write brings in a message of the customer.
func (p *person) write(ctx context.Context) bool {
	p.count++
	number := p.count
	text := fmt.Sprintf("%s writes %d", p.openid, number)
	ok := p.until(ctx, "write", func(n *node) (err error) {
		if p.advisor.account.Channel == models.ChannelWechat {
			if err := p.calls(ctx, n, p.callbacks(n).Text(p.openid, p.first+number, text)); err != nil || !p.key.IsZero() {
				return err
			}
			p.key, err = p.lookUp(n)
			return err
		}
		const mutation = `mutation($openid: Identifier!, $text: String!, $event: Identifier!) {
			simulateMessage(input: {openid: $openid, text: $text, eventId: $event}) { customer { id } } }`
		_, err = customerOf(p.ask(n, p.admin[p.advisor.account.Key], mutation,
			map[string]any{"openid": p.openid, "text": text, "event": fmt.Sprintf("%s-%d", p.openid, number)}))
		return err
	})
	if ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.writes = append(p.writes, Write{Customer: p.key, Text: text})
	}
	return ok
}

// lookUp asks for the customer whom the callbacks are of.
func (p *person) lookUp(n *node) (models.Key, error) {
	data, err := p.ask(n, p.admin[p.advisor.account.Key],
		`query($openid: Identifier!) { customer(by: {openid: $openid}) { id } }`, map[string]any{"openid": p.openid})
	if err != nil {
		return models.Key{}, err
	}
	var customer struct{ ID string }
	if err := json.Unmarshal(data["customer"], &customer); err != nil {
		return models.Key{}, err
	}
	return keyOf(customer.ID)
}

// answer sends a message of the advisor. One in four is sent twice at a time, on all nodes: they
// have one key, so they are one message.
func (p *person) answer(ctx context.Context) bool {
	p.count++
	key := fmt.Sprintf("%s-%d", p.openid, p.count)
	text := fmt.Sprintf("answer %s", key)
	const everyFourth = 4
	twice := p.random.IntN(everyFourth) == 0
	return p.until(ctx, "send", func(n *node) error {
		var other sync.WaitGroup
		if twice {
			other.Go(func() {
				if err := p.send(p.nodes[len(p.nodes)-1], key, text); err != nil && !passing(err) {
					p.fault("send twice: %v", err)
				}
			})
		}
		defer other.Wait()
		return p.send(n, key, text)
	})
}

// send sends once, and records the answer.
func (p *person) send(n *node, key, text string) error {
	message, _, err := p.request(n, key, text)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sends = append(p.sends, Send{Advisor: p.advisor.key, Customer: p.key, Key: key, Text: text, Message: message})
	return nil
}

// request sends once, and says which message it is and how far that has come.
func (p *person) request(n *node, key, text string) (models.Key, models.MessageStatus, error) {
	const mutation = `mutation($openid: Identifier!, $text: String!, $key: String!) {
		sendMessage(input: {customer: {openid: $openid}, text: $text, idempotencyKey: $key}) { message { id status } } }`
	data, err := p.ask(n, p.advisor.token, mutation, map[string]any{"openid": p.openid, "text": text, "key": key})
	if err != nil {
		return models.Key{}, "", err
	}
	var payload struct {
		Message struct {
			ID     string
			Status models.MessageStatus
		}
	}
	if err := json.Unmarshal(data["sendMessage"], &payload); err != nil {
		return models.Key{}, "", err
	}
	message, err := keyOf(payload.Message.ID)
	return message, payload.Message.Status, err
}

// callbacks posts callbacks to a node.
func (p *person) callbacks(n *node) wechattest.Platform {
	return wechattest.Platform{URL: n.address() + "/wechat/" + string(p.advisor.account.CallbackID), Token: callbackToken, Client: p.http}
}

// calls posts one callback. What is not answered `success` comes again, as the platform does it.
func (p *person) calls(ctx context.Context, n *node, message string) error {
	response, err := p.callbacks(n).Post(context.WithoutCancel(ctx), message)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode == http.StatusServiceUnavailable:
		return &refused{string(models.CodeUnavailable), string(text)}
	case response.StatusCode != http.StatusOK || string(text) != "success":
		return &refused{response.Status, string(text)}
	}
	return nil
}
