package demo

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"clientele/auth"
	"clientele/internal/apiclient"
	"clientele/internal/relay"
)

// tokenLife is how long the demo's tokens are good.
const tokenLife = 30 * 24 * time.Hour

// The roles that have a token file, by the file's name.
const (
	platformName    = "platform"
	adminName       = "admin"
	integrationName = "integration"
	analystName     = "analyst"
)

// shop is the demo's account with those who act in it, each with a token of their role.
type shop struct {
	http   *http.Client
	url    string
	issuer *auth.Issuer
	folder *folder

	bearers map[string]bearer
	// scenes is the scene of each code, by the name that steps use.
	scenes map[string]string
	// posters is the scene of each advisor's code in the window, by the same name.
	posters map[string]string
}

// account as far as the set-up asks for it.
type account struct {
	ID         string `json:"id"`
	Capability string `json:"capability"`
	IsVerified bool   `json:"isVerified"`
	Rules      string `json:"serviceRulesVersion"`
}

// advisor as far as the set-up asks for it.
type advisor struct {
	State         string `json:"state"`
	AcceptedRules string `json:"acceptedRulesVersion"`
	QRCode        struct {
		Scene string `json:"scene"`
	} `json:"qrCode"`
}

const (
	accountFields = ` id capability isVerified serviceRulesVersion `
	advisorFields = ` state acceptedRulesVersion qrCode { scene } `
)

// setUp brings the account to where the story begins, or finds it there: what is done already is
// left as it is, so that a set-up that was cut short is finished by the next one.
func (s *shop) setUp(ctx context.Context, p *progress) error {
	s.bearers, s.scenes, s.posters = map[string]bearer{}, map[string]string{}, map[string]string{}
	if err := s.give(platformName, auth.Grant{Role: auth.RolePlatform, Subject: "demo-platform"}); err != nil {
		return err
	}
	a, err := s.setUpAccount(ctx, p)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	for n := 1; n <= advisorCount; n++ {
		if err := s.setUpAdvisor(ctx, a, n); err != nil {
			return fmt.Errorf("%s: %w", advisorName(n), err)
		}
	}
	if err := s.setUpGroups(ctx); err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	if err := s.setUpPosters(ctx); err != nil {
		return fmt.Errorf("codes: %w", err)
	}
	if err := s.setUpTags(ctx); err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	if err := s.setUpExample(ctx); err != nil {
		return fmt.Errorf("the customer of the examples: %w", err)
	}
	return nil
}

// give makes a token and writes its file.
func (s *shop) give(name string, g auth.Grant) error {
	g.Life = tokenLife
	token, _, err := s.issuer.Issue(g)
	if err != nil {
		return err
	}
	s.bearers[name] = bearer{apiclient.Client{HTTP: s.http, URL: s.url, Token: token}}
	return write(s.folder.token(name), []byte(token))
}

func (s *shop) setUpAccount(ctx context.Context, p *progress) (*account, error) {
	platform := s.bearers[platformName]
	a, err := s.findAccount(ctx, p.Account)
	if err != nil {
		return nil, err
	}
	if a == nil {
		var out struct {
			CreateAccount struct{ Account *account }
		}
		err := platform.ask(ctx, `mutation($input: CreateAccountInput!) { createAccount(input: $input) { account {`+accountFields+`} } }`,
			vars{"input": vars{"name": shopName, "channel": "SANDBOX"}}, &out)
		if err != nil {
			return nil, err
		}
		a = out.CreateAccount.Account
		*p = progress{Account: a.ID}
		if err := s.folder.save(*p); err != nil {
			return nil, err
		}
	}
	if !a.IsVerified {
		err := platform.ask(ctx, `mutation($input: RecordAccountFactsInput!) { recordAccountFacts(input: $input) { account { id } } }`,
			vars{"input": vars{"accountId": a.ID, "isVerified": true}}, nil)
		if err != nil {
			return nil, err
		}
	}
	if err := s.giveMerchants(a); err != nil {
		return nil, err
	}
	if a.Capability == "OPEN" {
		return a, nil
	}
	err = s.bearers[adminName].ask(ctx, `mutation($input: AcceptTermsInput!) { acceptTerms(input: $input) { account { capability } } }`,
		vars{"input": vars{"version": "1"}}, nil)
	return a, err
}

// findAccount is the account of the run before; nil when there was none, or it was in another
// database.
func (s *shop) findAccount(ctx context.Context, id string) (*account, error) {
	if id == "" {
		return nil, nil //nolint:nilnil // the word for "none".
	}
	var out struct{ Account *account }
	err := s.bearers[platformName].ask(ctx, `query($id: ID!) { account(accountId: $id) {`+accountFields+`} }`, vars{"id": id}, &out)
	if isCode(err, "NOT_FOUND") {
		return nil, nil //nolint:nilnil // the word for "none".
	}
	return out.Account, err
}

// giveMerchants makes the tokens of everybody who belongs to the account.
func (s *shop) giveMerchants(a *account) error {
	id, ok := relay.ParseID(a.ID)
	if !ok {
		return errors.New("the account has an id that cannot be read")
	}
	key := hex.EncodeToString(id.Key[:])
	for name, role := range map[string]auth.Role{
		adminName: auth.RoleAdmin, integrationName: auth.RoleIntegration, analystName: auth.RoleAnalyst,
	} {
		if err := s.give(name, auth.Grant{Role: role, Account: key, Subject: "demo-" + name}); err != nil {
			return err
		}
	}
	for n := 1; n <= advisorCount; n++ {
		name := advisorName(n)
		subject := auth.AdvisorSubject(auth.SubjectExternal, name)
		if err := s.give(name, auth.Grant{Role: auth.RoleAdvisor, Account: key, Subject: subject}); err != nil {
			return err
		}
	}
	return nil
}

// advisorOpenID is the openid of an advisor, who follows the account like anybody (rule B2). It
// is the same whatever the seed.
func advisorOpenID(n int) string { return "oDemoAdvisor_" + strconv.Itoa(n) }

func (s *shop) setUpAdvisor(ctx context.Context, a *account, n int) error {
	self := s.bearers[advisorName(n)]
	found, err := s.findAdvisor(ctx, n)
	if err != nil {
		return err
	}
	if found == nil || found.State != "ACTIVE" {
		if found == nil || found.State != "PENDING" {
			if err := s.invite(ctx, n); err != nil {
				return err
			}
		}
		err := self.ask(ctx, `mutation { answerInvitation(input: {accept: true}) { advisor { state } } }`, nil, nil)
		if err != nil {
			return err
		}
		if found, err = s.findAdvisor(ctx, n); err != nil {
			return err
		}
	}
	s.scenes[advisorName(n)] = found.QRCode.Scene
	if found.AcceptedRules == a.Rules {
		return nil
	}
	return self.ask(ctx, `mutation($input: AcceptServiceRulesInput!) { acceptServiceRules(input: $input) { advisor { id } } }`,
		vars{"input": vars{"version": a.Rules}}, nil)
}

func (s *shop) findAdvisor(ctx context.Context, n int) (*advisor, error) {
	var out struct{ Advisor *advisor }
	err := s.bearers[integrationName].ask(ctx, `query($by: AdvisorRef!) { advisor(by: $by) {`+advisorFields+`} }`,
		vars{"by": vars{"openid": advisorOpenID(n)}}, &out)
	if isCode(err, "NOT_FOUND") {
		return nil, nil //nolint:nilnil // the word for "none".
	}
	return out.Advisor, err
}

func (s *shop) invite(ctx context.Context, n int) error {
	err := s.bearers[adminName].ask(ctx, `mutation($input: SimulateFollowInput!) { simulateFollow(input: $input) { customer { id } } }`,
		vars{"input": vars{"openid": advisorOpenID(n)}}, nil)
	if err != nil {
		return err
	}
	var out struct {
		InviteAdvisors struct {
			Results []struct {
				Error *struct{ Code, Message string }
			}
		}
	}
	err = s.bearers[integrationName].ask(ctx,
		`mutation($input: InviteAdvisorsInput!) { inviteAdvisors(input: $input) { results { error { code message } } } }`,
		vars{"input": vars{"advisors": []vars{{
			"openid": advisorOpenID(n), "externalId": advisorName(n), "nickname": advisorNickname(n),
		}}}}, &out)
	if err != nil {
		return err
	}
	for _, r := range out.InviteAdvisors.Results {
		if r.Error != nil {
			return fmt.Errorf("%s: %s", r.Error.Code, r.Error.Message)
		}
	}
	return nil
}

// exampleOpenID is the customer whom the examples of GraphiQL are about. They are the first advisor's, and no one of the story.
const exampleOpenID = "oExampleCustomer"

// setUpExample has them follow by the first advisor's code, once: from then on whoever runs the examples says what becomes of them.
func (s *shop) setUpExample(ctx context.Context) error {
	err := s.bearers[integrationName].ask(ctx, `query($by: CustomerRef!) { customer(by: $by) { id } }`, vars{"by": vars{"openid": exampleOpenID}}, nil)
	if !isCode(err, "NOT_FOUND") {
		return err
	}
	return s.bearers[adminName].ask(ctx, `mutation($input: SimulateFollowInput!) { simulateFollow(input: $input) { customer { id } } }`,
		vars{"input": vars{"openid": exampleOpenID, "scene": s.scenes[advisorName(1)]}}, nil)
}

type group struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	QRCode struct {
		Scene string `json:"scene"`
	} `json:"qrCode"`
}

func (s *shop) setUpGroups(ctx context.Context) error {
	const groupFields = ` id name qrCode { scene } `
	integration := s.bearers[integrationName]
	var found struct {
		Groups struct{ Nodes []group }
	}
	if err := integration.ask(ctx, `{ groups(first: 200) { nodes {`+groupFields+`} } }`, nil, &found); err != nil {
		return err
	}
	titles := map[string]group{}
	for _, g := range found.Groups.Nodes {
		titles[g.Name] = g
	}
	for n := 1; n <= groupCount; n++ {
		g, ok := titles[groupTitle(n)]
		if !ok {
			var out struct {
				CreateGroup struct{ Group group }
			}
			err := integration.ask(ctx, `mutation($input: CreateGroupInput!) { createGroup(input: $input) { group {`+groupFields+`} } }`,
				vars{"input": vars{"name": groupTitle(n)}}, &out)
			if err != nil {
				return err
			}
			g = out.CreateGroup.Group
		}
		if err := s.addMembers(ctx, g, n); err != nil {
			return err
		}
		s.scenes[groupName(n)] = g.QRCode.Scene
	}
	return nil
}

func (s *shop) addMembers(ctx context.Context, g group, n int) error {
	var members []vars
	for _, m := range groupMembers(n) {
		members = append(members, vars{"openid": advisorOpenID(m)})
	}
	return s.bearers[integrationName].ask(ctx,
		`mutation($input: AddGroupAdvisorsInput!) { addGroupAdvisors(input: $input) { results { error { code } } } }`,
		vars{"input": vars{"groupId": g.ID, "advisors": members}}, nil)
}

func isCode(err error, code string) bool {
	var r *apiclient.Refusal
	return errors.As(err, &r) && r.Extensions.Code == code
}
