package wechat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"clientele/internal/webcall"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// APIAddress is where the platform is asked.
const APIAddress = "https://api.weixin.qq.com"

// Access is what all nodes share of an account's platform. Safe for concurrent use.
type Access interface {
	// AccessToken answers what the platform is asked with. refused is one that it does not take any more; empty: none. When there is none
	// to be had, one node asks by renew, with the account's app id and app secret. services.ErrNoSecret without one.
	AccessToken(ctx context.Context, account models.Key, refused string,
		renew func(ctx context.Context, appID, secret string) (token string, life time.Duration, err error)) (string, error)
	// ChannelClosed answers until when a part of the platform is not to be asked, and what it said; 0: it may be.
	ChannelClosed(ctx context.Context, account models.Key, api models.ChannelAPI) (until models.Time, code int, err error)
	// CloseChannel keeps all nodes from asking it until an instant, because of an answer with this code.
	CloseChannel(ctx context.Context, account models.Key, api models.ChannelAPI, until models.Time, code int) error
}

// Channel implements services.Channel over the platform's API. It is safe for concurrent use.
type Channel struct {
	// Asked is told of each call with what came of it; nil: nobody is. It is set before the first.
	Asked   func(api models.ChannelAPI, err error)
	address string
	now     func() time.Time
	access  Access
	client  *webcall.Client

	agentsMu sync.Mutex
	agents   map[models.Key]knownAgents
}

// New makes the channel of a platform at an address, APIAddress or one that stands for it. Use gives it its
// access before the first call.
func New(address string, now func() time.Time) *Channel {
	return &Channel{address: address, now: now, client: webcall.New(), agents: map[models.Key]knownAgents{}}
}

// Use gives the channel its access: the services, which in turn are made with the channel.
func (c *Channel) Use(a Access) { c.access = a }

// Code is a number with which the platform answers. Source: WeChat official account documentation: global return codes.
type Code int

// The codes that mean something to us; every other is a refusal of the one thing that was asked.
const (
	CodeBusy          Code = -1
	CodeBadSecret     Code = 40001 // of a call: the access token
	CodeBadOpenID     Code = 40003
	CodeBadAppID      Code = 40013
	CodeBadToken      Code = 40014
	CodeWrongSecret   Code = 40125
	CodeAddress       Code = 40164 // our address is not on the account's list
	CodeNoToken       Code = 41001
	CodeTokenExpired  Code = 42001
	CodeMustFollow    Code = 43004
	CodeQuota         Code = 45009 // of the day
	CodeTooFrequent   Code = 45011 // of the minute
	CodeWindowOver    Code = 45015
	CodeWindowSpent   Code = 45047
	CodeNotAuthorised Code = 48001
	CodeRefuses       Code = 48002 // the follower takes no messages
	CodeBanned        Code = 48004
	CodeNotFollowing  Code = 50005
	CodeNoPermission  Code = 61007
	CodeNoAgents      Code = 65400 // the account has no customer-service agents
	CodeRisky         Code = 87014
)

// tokenCodes say that the access token is not taken (any more).
var tokenCodes = []Code{CodeBadSecret, CodeBadToken, CodeNoToken, CodeTokenExpired}

// accountCodes refuse the account as a whole, whatever is asked, until somebody mends something.
var accountCodes = []Code{
	CodeBadSecret, CodeBadAppID, CodeBadToken, CodeWrongSecret, CodeAddress, CodeNoToken, CodeTokenExpired, CodeNotAuthorised, CodeBanned, CodeNoPermission,
}

// knownCodes are all of them.
var knownCodes = []Code{
	CodeBusy, CodeBadSecret, CodeBadOpenID, CodeBadAppID, CodeBadToken, CodeWrongSecret, CodeAddress, CodeNoToken, CodeTokenExpired, CodeMustFollow, CodeQuota, CodeTooFrequent,
	CodeWindowOver, CodeWindowSpent, CodeNotAuthorised, CodeRefuses, CodeBanned, CodeNotFollowing, CodeNoPermission, CodeNoAgents, CodeRisky,
}

// Error is the platform's refusal of a call. Its text names the part and the number and never what the
// platform wrote, which may name a person.
type Error struct {
	API  models.ChannelAPI
	Code Code
}

// Error implements error.
func (e *Error) Error() string {
	return "the platform answered " + strconv.Itoa(int(e.Code)) + " to " + string(e.API)
}

// Is makes busy and closed parts services.ErrNotSent: the platform certainly did nothing.
func (e *Error) Is(target error) bool {
	return target == services.ErrNotSent && (e.isAccounts() || e.Code == CodeBusy || e.Code == CodeQuota || e.Code == CodeTooFrequent)
}

// isAccounts reports whether it is a refusal of the account as a whole.
func (e *Error) isAccounts() bool { return slices.Contains(accountCodes, e.Code) }

// ClosedError is what a call meets while its part of the platform is not asked (services.ErrNotSent).
type ClosedError struct {
	API   models.ChannelAPI
	Until models.Time
	// Code is why.
	Code Code
}

// Error implements error.
func (e *ClosedError) Error() string {
	return "the platform is not asked for " + string(e.API) + " now"
}

// ClosedUntil is from when on it is asked again.
func (e *ClosedError) ClosedUntil() models.Time { return e.Until }

// Is makes it services.ErrNotSent.
func (*ClosedError) Is(target error) bool { return target == services.ErrNotSent }

// isSpent reports whether an error is that a quota of the day is used up, which the platform says, or said before.
func isSpent(err error) bool {
	var refused *Error
	var closed *ClosedError
	return errors.As(err, &refused) && refused.Code == CodeQuota || errors.As(err, &closed) && closed.Code == CodeQuota
}

// errNoAnswer is what a call meets when the platform may have done what was asked and did not say so.
var errNoAnswer = errors.New("the platform did not answer in its protocol")

// call asks a part of the platform for an account, with the token that all nodes share; a token that is not taken
// is renewed once. in becomes the body, nil: there is none; out gets the answer. Errors: *Error, *ClosedError, services.ErrNoSecret, what wraps
// services.ErrNotSent, and others, of which nobody knows whether the platform did what was asked.
func (c *Channel) call(ctx context.Context, account *models.Account, api models.ChannelAPI, method, path string, query url.Values, in, out any) error {
	for _, part := range []models.ChannelAPI{models.APIAccessToken, api} {
		until, code, err := c.access.ChannelClosed(ctx, account.Key, part)
		if err != nil {
			return fmt.Errorf("%w: %w", services.ErrNotSent, err)
		}
		if until != 0 {
			return &ClosedError{part, until, Code(code)}
		}
	}
	var refused string
	for {
		token, err := c.token(ctx, account, refused)
		if err != nil {
			return err
		}
		with := url.Values{"access_token": {token}}
		for name, values := range query {
			with[name] = values
		}
		err = c.ask(ctx, api, method, path, with, in, out)
		var answered *Error
		switch {
		case err == nil || !errors.As(err, &answered):
			return err
		case slices.Contains(tokenCodes, answered.Code) && refused == "":
			refused = token
		default:
			if until, closes := c.closed(answered); closes {
				err = errors.Join(err, c.access.CloseChannel(ctx, account.Key, answered.API, until, int(answered.Code)))
			}
			return err
		}
	}
}

// token is what the account's platform is asked with. No error of it has let the platform do anything.
func (c *Channel) token(ctx context.Context, account *models.Account, refused string) (string, error) {
	token, err := c.access.AccessToken(ctx, account.Key, refused, c.renew)
	if err == nil || errors.Is(err, services.ErrNoSecret) {
		return token, err
	}
	return "", fmt.Errorf("%w: %w", services.ErrNotSent, err)
}

// renew asks for an access token. Source: WeChat official account documentation: stable access token. Whatever the number of a refusal, it is
// not asked again at once: *services.RefusedAccess.
func (c *Channel) renew(ctx context.Context, appID, secret string) (string, time.Duration, error) {
	in := map[string]any{"grant_type": "client_credential", "appid": appID, "secret": secret}
	var out struct {
		Token string `json:"access_token"`
		Life  int    `json:"expires_in"`
	}
	err := c.ask(ctx, models.APIAccessToken, http.MethodPost, "/cgi-bin/stable_token", nil, in, &out)
	var refused *Error
	switch {
	case errors.As(err, &refused) && refused.Code != CodeBusy:
		until, closes := c.closed(refused)
		if !closes {
			until = models.At(c.now()).Add(limits.ChannelRefused)
		}
		err = &services.RefusedAccess{Until: until, Code: int(refused.Code), Err: err}
	case err == nil && (out.Token == "" || len(out.Token) > limits.AccessTokenBytes || out.Life <= 0):
		err = errNoAnswer
	}
	return out.Token, time.Duration(out.Life) * time.Second, err
}

// closed is until when a part is not asked that was refused as a whole: for the rest of the platform's day when its quota is used up, for a
// while when somebody has to mend something.
func (c *Channel) closed(refused *Error) (until models.Time, closes bool) {
	switch {
	case refused.API == models.APIServiceAgents && slices.Contains(noAgents, refused.Code):
		return 0, false
	case refused.Code == CodeQuota:
		return nextDay(c.now()), true
	case refused.isAccounts():
		return models.At(c.now()).Add(limits.ChannelRefused), true
	}
	return 0, false
}

// nextDay is when the platform's quotas of a day begin anew.
func nextDay(now time.Time) models.Time {
	china := time.FixedZone("UTC+8", int((8 * time.Hour).Seconds()))
	y, m, d := now.In(china).Date()
	return models.At(time.Date(y, m, d+1, 0, 0, 0, 0, china))
}

// ask makes one request.
func (c *Channel) ask(ctx context.Context, api models.ChannelAPI, method, path string, query url.Values, in, out any) (err error) {
	if c.Asked != nil {
		defer func() { c.Asked(api, err) }()
	}
	var body []byte
	if in != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false) // the platform would show the escapes
		if err := e.Encode(in); err != nil {
			return fmt.Errorf("%w: %w", services.ErrNotSent, err)
		}
		body = b.Bytes()
	}
	r, err := http.NewRequestWithContext(ctx, method, c.address+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", services.ErrNotSent, withoutAddress(err))
	}
	r.Header.Set("Content-Type", "application/json")
	status, text, err := c.client.Do(r, limits.ChannelBodyBytes)
	switch {
	case errors.Is(err, webcall.ErrNotAsked):
		return fmt.Errorf("%w: %w", services.ErrNotSent, withoutAddress(err))
	case err != nil:
		return withoutAddress(err)
	case status != http.StatusOK:
		return fmt.Errorf("%w: HTTP %d", errNoAnswer, status)
	}
	return read(api, text, out)
}

// read reads the body of an answer into out; nil: only whether it is a refusal matters. *Error, or errNoAnswer of what is no answer of the platform.
func read(api models.ChannelAPI, text []byte, out any) error {
	var answer struct {
		Code *Code `json:"errcode"`
	}
	switch {
	case json.Unmarshal(text, &answer) != nil:
		return errNoAnswer
	case answer.Code != nil && *answer.Code != 0:
		return &Error{API: api, Code: *answer.Code}
	case out == nil && answer.Code == nil, out != nil && json.Unmarshal(text, out) != nil:
		return errNoAnswer
	}
	return nil
}

// Answer names what came of a call, for who counts: ok, one of the codes that mean something to us, other of any other code, none of a call that was not answered.
func Answer(err error) string {
	var refused *Error
	switch {
	case err == nil:
		return "ok"
	case !errors.As(err, &refused):
		return "none"
	case slices.Contains(knownCodes, refused.Code):
		return strconv.Itoa(int(refused.Code))
	}
	return "other"
}

// withoutAddress takes the address off an error of a request: it holds the access token.
func withoutAddress(err error) error {
	if of := (*url.Error)(nil); errors.As(err, &of) {
		return fmt.Errorf("%s: %w", of.Op, of.Err)
	}
	return err
}
