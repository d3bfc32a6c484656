package services

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"clientele/auth"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Viewer is who asks.
func (s *Services) Viewer(ctx context.Context) (*models.Viewer, error) {
	c, err := s.begin(ctx, mayView)
	if err != nil {
		return nil, err
	}
	return &models.Viewer{
		Role: models.Role(c.Viewer.Role), Account: c.Account, Advisor: c.Advisor, TokenExpiresAt: models.At(c.Viewer.Expires),
	}, nil
}

// Account is the viewer's account, or for PLATFORM the one with the key. NOT_FOUND for another
// tenant's (rule V4).
func (s *Services) Account(ctx context.Context, key models.Key) (*models.Account, error) {
	c, err := s.begin(ctx, mayAccount)
	if err != nil {
		return nil, err
	}
	if c.Viewer.Role != auth.RolePlatform {
		if !key.IsZero() && key != c.Account.Key {
			return nil, models.NotFound("account", "accountId")
		}
		return c.Account, nil
	}
	if key.IsZero() {
		return nil, models.Invalid("accountId", "is required for PLATFORM")
	}
	a, err := s.store.View(ctx).Account(key)
	return known(a, err, "account", "accountId")
}

// MayReadCallback reports whether the viewer may see where an account's callbacks go, and how its platform is asked.
func (s *Services) MayReadCallback(ctx context.Context) bool {
	c, err := s.scope(ctx)
	return err == nil && (c.Viewer.Role == auth.RoleAdmin || c.Viewer.Role == auth.RoleIntegration)
}

// NewAccount is what an account starts with.
type NewAccount struct {
	Name       string
	Channel    models.ChannelKind
	AppID      models.Ident
	OriginalID models.Ident
}

// CreateAccount makes an account that is not open yet. CONFLICT when the app id is another
// account's. Settings start as rule A2 and A3 say for its channel.
func (s *Services) CreateAccount(ctx context.Context, in NewAccount) (*models.Account, error) {
	c, err := s.begin(ctx, mayCreateAccount)
	if err != nil {
		return nil, err
	}
	name, err := models.CheckName(in.Name, "input.name", limits.AccountNameRunes)
	if err != nil {
		return nil, err
	}
	if in.Channel == models.ChannelWechat && in.AppID == "" {
		return nil, models.Invalid("input.appId", "is required on WECHAT")
	}
	for field, id := range map[string]models.Ident{"input.appId": in.AppID, "input.originalId": in.OriginalID} {
		if id != "" {
			if err := models.CheckIdent(string(id), field, limits.OpenIDBytes); err != nil {
				return nil, err
			}
		}
	}
	a := &models.Account{
		Key: models.NewKey(), Name: name, Channel: in.Channel, AppID: in.AppID, OriginalID: in.OriginalID,
		Capability: models.CapabilityNeverOpened, RulesVersion: "1", TimeZone: "Asia/Shanghai",
		PolicyPreset: models.PresetClassic, OutreachCarrier: models.CarrierDirect,
		NotifyAdvisorQR: true, NotifyGroupQR: true, NotifyWechatAd: true, OutsideLanguage: models.LanguageZhCN,
		CallbackMode: models.CallbackSecure, CallbackID: randomIdent(),
	}
	if in.Channel == models.ChannelWechat {
		a.PolicyPreset, a.OutreachCarrier = models.PresetPlatformToday, models.CarrierNone
	}
	a.SealedURLSecret = s.newURLSecret(a.Key)
	err = s.store.Write(ctx, c.actor(), a.Key, func(tx *store.Tx) error {
		a.CreatedAt, a.UpdatedAt = tx.Now, tx.Now
		if err := tx.InsertAccount(a); err != nil {
			return err
		}
		return tx.Audit(store.Change{
			Action: "createAccount", TargetKind: "Account", Target: a.Key,
			After: map[string]any{"name": a.Name, "channel": a.Channel},
		})
	})
	if errors.Is(err, store.ErrDuplicate) {
		return nil, &models.Error{Code: models.CodeConflict, Field: "input.appId", Message: "another account has this app id"}
	}
	return a, err
}

// Facts is what PLATFORM knows of an account; nil Verified leaves it.
type Facts struct {
	Verified   *bool
	Violations []models.Violation
	// Close closes the capability with it; one that is not open stays as it is.
	Close bool
}

// RecordFacts records them (rule A1). It opens nothing, and closes only where that is said.
func (s *Services) RecordFacts(ctx context.Context, key models.Key, f Facts) (*models.Account, error) {
	c, err := s.begin(ctx, mayRecordFacts)
	if err != nil {
		return nil, err
	}
	if len(f.Violations) > limits.ViolationsPerCall {
		return nil, models.TooMany("input.violations", limits.ViolationsPerCall, "at most %d in a call", limits.ViolationsPerCall)
	}
	return s.changeAccount(ctx, c, key, "recordAccountFacts", func(tx *store.Tx, a *models.Account) (change accountChange, err error) {
		rows := make([]*models.Violation, len(f.Violations))
		for i, v := range f.Violations {
			if v.On > tx.Now {
				return change, models.Invalid("input.violations", "happened in the future")
			}
			v.AccountID, v.Key = a.Key, models.NewKey()
			rows[i] = &v
		}
		if err := tx.InsertViolations(rows); err != nil {
			return change, err
		}
		before := map[string]any{"verified": a.IsVerified()}
		if f.Verified != nil && *f.Verified != a.IsVerified() {
			a.VerifiedAt = 0
			if *f.Verified {
				a.VerifiedAt = tx.Now
			}
		}
		after := map[string]any{"verified": a.IsVerified(), "violations": f.Violations}
		if f.Close && a.IsOpen() {
			before["capability"] = a.Capability
			a.Capability = models.CapabilityClosed
			after["capability"] = a.Capability
		}
		return accountChange{[]string{"verified_at", "capability"}, before, after}, nil
	})
}

// AcceptTerms opens the account (rule A1).
func (s *Services) AcceptTerms(ctx context.Context, version string) (*models.Account, error) {
	c, err := s.begin(ctx, mayAcceptTerms)
	if err != nil {
		return nil, err
	}
	if err := models.CheckIdent(version, "input.version", limits.TermsVersionBytes); err != nil {
		return nil, err
	}
	return s.changeAccount(ctx, c, c.Account.Key, "acceptTerms", func(tx *store.Tx, a *models.Account) (change accountChange, err error) {
		last, err := tx.LastViolation(a.Key)
		if err != nil {
			return change, err
		}
		if err := a.MayOpen(last, tx.Now); err != nil {
			return change, err
		}
		if !a.IsOpen() { // what waited meanwhile did not wait for the channel (rule G6)
			if err := tx.RestartGate(); err != nil {
				return change, err
			}
		}
		before := map[string]any{"capability": a.Capability, "terms": a.TermsVersion}
		a.Capability, a.TermsVersion, a.TermsAt, a.TermsBy = models.CapabilityOpen, version, tx.Now, c.by()
		after := map[string]any{"capability": a.Capability, "terms": version}
		return accountChange{[]string{"capability", "terms_version", "terms_at", "terms_by"}, before, after}, nil
	})
}

// CloseAccount closes the account (rule A1).
func (s *Services) CloseAccount(ctx context.Context, confirm bool) (*models.Account, error) {
	c, err := s.begin(ctx, mayCloseAccount)
	if err != nil {
		return nil, err
	}
	if !confirm {
		return nil, models.Invalid("input.confirm", "must be true")
	}
	return s.changeAccount(ctx, c, c.Account.Key, "closeAccount", func(_ *store.Tx, a *models.Account) (change accountChange, err error) {
		if !a.IsOpen() {
			return change, models.Errorf(models.CodeState, "the account is not open")
		}
		before := map[string]any{"capability": a.Capability}
		a.Capability = models.CapabilityClosed
		return accountChange{[]string{"capability"}, before, map[string]any{"capability": a.Capability}}, nil
	})
}

func checkLink(l, field string) error {
	if err := models.CheckText(l, field, limits.AvatarURLBytes); err != nil {
		return err
	}
	scheme, rest, ok := strings.Cut(l, "://")
	if !ok || rest == "" || !linkScheme.MatchString(scheme) || slices.Contains(scripted, scheme) {
		return models.Invalid(field, "is no address with a scheme that apps open")
	}
	return nil
}

// scripted are schemes that run or read what they name.
var scripted = []string{"javascript", "vbscript", "data", "file", "blob"}

// checkPicture checks the address of a picture.
func checkPicture(l, field string) error {
	if !strings.HasPrefix(l, "https://") && !strings.HasPrefix(l, "http://") {
		return models.Invalid(field, "is no http or https address")
	}
	return checkLink(l, field)
}

var (
	linkScheme    = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
	callbackToken = regexp.MustCompile(`^[A-Za-z0-9]{3,32}$`)
	callbackKey   = regexp.MustCompile(`^[A-Za-z0-9]{43}$`)
	appSecret     = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9]{%d,%d}$`, limits.AppSecretMin, limits.AppSecretMax))
)

// CallbackCredentials are what the platform signs and encrypts with.
type CallbackCredentials struct {
	Mode   models.CallbackMode
	Token  string
	AESKey string
}

// Fields under which credentials are sealed.
const (
	sealToken  = "callback.token"
	sealAESKey = "callback.aes_key"
)

// SetCredentials seals and keeps them; the ones before stay valid for
// limits.CallbackRotation (rule A4). STATE on a channel without callbacks.
func (s *Services) SetCredentials(ctx context.Context, in CallbackCredentials) (*models.Account, error) {
	c, err := s.begin(ctx, maySetCredentials)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Account.Channel != models.ChannelWechat:
		return nil, models.Errorf(models.CodeState, "the account's channel has no callbacks")
	case !callbackToken.MatchString(in.Token):
		return nil, models.Invalid("input.token", "is not 3 to 32 letters and digits")
	case (in.AESKey != "" || in.Mode != models.CallbackPlain) && !callbackKey.MatchString(in.AESKey):
		return nil, models.Invalid("input.aesKey", "is not 43 letters and digits")
	}
	defer s.callbacks.forget(c.Account.CallbackID)
	return s.changeAccount(ctx, c, c.Account.Key, "setCallbackCredentials", func(tx *store.Tx, a *models.Account) (change accountChange, err error) {
		was := swap(&a.CallbackMode, &in.Mode)
		same, lost := s.sameCredentials(a, in)
		if !same { // the same again, say with another mode, must not push out the ones before
			a.SealedTokenOld, a.SealedAESKeyOld, a.RotatedAt = a.SealedToken, a.SealedAESKey, tx.Now
			if lost {
				a.SealedTokenOld, a.SealedAESKeyOld = nil, nil
			}
			a.SealedToken = s.ring.Seal(a.Key, sealToken, []byte(in.Token))
			a.SealedAESKey = nil
			if in.AESKey != "" {
				a.SealedAESKey = s.ring.Seal(a.Key, sealAESKey, []byte(in.AESKey))
			}
		}
		return accountChange{
			[]string{"sealed_token", "sealed_token_old", "sealed_aes_key", "sealed_aes_key_old", "rotated_at", "callback_mode"},
			map[string]any{"mode": was},
			map[string]any{"mode": in.Mode, "isNew": !same},
		}, nil
	})
}

// sameCredentials reports whether an account has these; lost: what it has no master key opens any more.
func (s *Services) sameCredentials(a *models.Account, in CallbackCredentials) (same, lost bool) {
	token, tokenErr := s.unseal(a.Key, sealToken, [][]byte{a.SealedToken})
	key, keyErr := s.unseal(a.Key, sealAESKey, [][]byte{a.SealedAESKey})
	if tokenErr != nil || keyErr != nil {
		return false, true
	}
	return len(token) == 1 && token[0] == in.Token && strings.Join(key, "") == in.AESKey, false
}

func (s *Services) unseal(account models.Key, field string, sealed [][]byte) ([]string, error) {
	var open []string
	for _, b := range sealed {
		if len(b) == 0 {
			continue
		}
		plain, err := s.ring.Open(account, field, b)
		if err != nil {
			return nil, err
		}
		open = append(open, string(plain))
	}
	return open, nil
}

// accountChange is a change of an account's row: which columns are to be written, and what the audit log tells of
// what was there and what is since.
type accountChange struct {
	columns       []string
	before, after any
}

// changeAccount runs one audited change of an account's row under its lock.
func (s *Services) changeAccount(ctx context.Context, c *Scope, key models.Key, action string,
	do func(*store.Tx, *models.Account) (accountChange, error),
) (a *models.Account, err error) {
	err = s.store.Write(ctx, c.actor(), key, func(tx *store.Tx) error {
		a, err = tx.LockAccount()
		if a, err = known(a, err, "account", "input.accountId"); err != nil {
			return err
		}
		change, err := do(tx, a)
		if err != nil {
			return err
		}
		if err := tx.UpdateAccount(a, change.columns...); err != nil {
			return err
		}
		return tx.Audit(store.Change{Action: action, TargetKind: "Account", Target: a.Key, Before: change.before, After: change.after})
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// randomIdent is an identifier that cannot be guessed: 22 characters of base64url.
func randomIdent() models.Ident {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return models.Ident(base64.RawURLEncoding.EncodeToString(b[:]))
}

// eachAccount calls do for each account there is, in the order of their keys, until it errs.
func (s *Services) eachAccount(ctx context.Context, do func(models.Key) error) error {
	var after models.Key
	for {
		keys, err := s.store.View(ctx).AccountKeys(after, limits.BatchRows)
		if err != nil {
			return err
		}
		for _, after = range keys {
			if err := do(after); err != nil {
				return err
			}
		}
		if len(keys) < limits.BatchRows {
			return nil
		}
	}
}
