package wechat_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"clientele/channels/wechat"
	"clientele/channels/wechat/wechattest"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// oneNode is a wechat.Access that one process has to itself; its account is wx1.
type oneNode struct {
	token  string
	closed map[models.ChannelAPI]models.Time
}

func (a *oneNode) AccessToken(ctx context.Context, _ models.Key, refused string, renew func(ctx context.Context, appID, secret string) (string, time.Duration, error)) (string, error) {
	if a.token != "" && a.token != refused {
		return a.token, nil
	}
	token, _, err := renew(ctx, "wx1", "secret")
	if err == nil {
		a.token = token
	}
	return token, err
}

func (a *oneNode) ChannelClosed(_ context.Context, _ models.Key, api models.ChannelAPI) (until models.Time, code int, err error) {
	return a.closed[api], 0, nil
}

func (a *oneNode) CloseChannel(_ context.Context, _ models.Key, api models.ChannelAPI, until models.Time, _ int) error {
	a.closed[api] = until
	return nil
}

// Ensure followers are read as the platform has them, whichever way its list ends, and that what it refuses is told from what it does not answer
// (rules E3, E11, K1).
func TestFollowers(t *testing.T) {
	clock := testkit.NewClock()
	api := wechattest.NewAPI(t)
	api.Clock(clock.Now)
	app := api.App("wx1", "secret")
	access := &oneNode{closed: map[models.ChannelAPI]models.Time{}}
	ch := wechat.New(api.URL(), clock.Now)
	ch.Use(access)
	account := &models.Account{Key: models.NewKey()}
	for i := range 5 {
		f := wechattest.Follower{OpenID: fmt.Sprintf("o%d", i), FollowedAt: testkit.Start.Add(-time.Hour)}
		if i == 1 {
			f.UnionID, f.Scene = "u1", "ADD_SCENE_WECHAT_ADVERTISEMENT"
		}
		if i == 4 {
			f.FollowedAt = testkit.Start.Add(time.Hour) // its clock is ahead
		}
		app.Follow(f)
	}
	app.Unfollow("o3")
	for _, lastSaysSo := range []bool{false, true} {
		app.Pages(2, lastSaysSo)
		var got []models.Ident
		var after models.Ident
		for range 4 {
			page, err := ch.Followers(t.Context(), account, after)
			if err != nil || page.Total != 4 {
				t.Fatal(page, err)
			}
			got = append(got, page.OpenIDs...)
			if after = page.Next; after == "" {
				break
			}
		}
		if after != "" || !slices.Equal(got, []models.Ident{"o0", "o1", "o2", "o4"}) {
			t.Errorf("the followers are %q, and then %q", got, after)
		}
	}
	infos, err := ch.FollowersInfo(t.Context(), account, []models.Ident{"o0", "o1", "o3", "o4", "o9"})
	if err != nil {
		t.Fatal(err)
	}
	since := clock.Time().Add(-time.Hour)
	if !slices.Equal(infos, []services.FollowerInfo{
		{OpenID: "o0", Follows: true, FollowedAt: since},
		{OpenID: "o1", UnionID: "u1", Follows: true, Advertised: true, FollowedAt: since},
		{OpenID: "o3"},
		{OpenID: "o4", Follows: true, FollowedAt: clock.Time()},
		{OpenID: "o9"},
	}) {
		t.Errorf("they are %+v", infos)
	}
	all := make([]models.Ident, limits.FollowersInfo+1)
	for i := range all {
		all[i] = models.Ident(fmt.Sprintf("x%d", i))
	}
	if infos, err := ch.FollowersInfo(t.Context(), account, all[1:]); err != nil || len(infos) != limits.FollowersInfo {
		t.Errorf("%d answered, %v", len(infos), err)
	}
	if _, err := ch.FollowersInfo(t.Context(), account, all); models.CodeOf(err) != models.CodeLimitExceeded {
		t.Errorf("one too many: %v", err)
	}

	if _, err := ch.Followers(t.Context(), account, "nobody"); models.CodeOf(err) != models.CodeState {
		t.Errorf("after somebody who never followed: %v", err)
	}
	for name, fault := range map[string]func(){
		"busy":    func() { app.Fail(wechattest.PathFollowers, 1, wechattest.ErrSystem) },
		"minute":  func() { app.Fail(wechattest.PathFollowers, 1, 45011) },
		"broken":  func() { app.Break(wechattest.PathFollowers, 100) }, // what is only read is asked for again where a kept connection was closed
		"gateway": func() { app.Status(wechattest.PathFollowers, 1, http.StatusBadGateway) },
	} {
		fault()
		if _, err := ch.Followers(t.Context(), account, ""); err == nil || models.CodeOf(err) != models.CodeInternal {
			t.Errorf("%s: %v", name, err)
		}
		app.Heal(wechattest.PathFollowers)
	}
	app.KillTokens()
	if _, err := ch.Followers(t.Context(), account, ""); err != nil {
		t.Errorf("with another token: %v", err)
	}
	app.Quota(wechattest.PathFollowers, 0)
	if _, err := ch.Followers(t.Context(), account, ""); err == nil || models.CodeOf(err) != models.CodeInternal {
		t.Errorf("the quota is used up: %v", err)
	}
	var closed interface{ ClosedUntil() models.Time }
	if _, err := ch.Followers(t.Context(), account, ""); !errors.As(err, &closed) || closed.ClosedUntil() != clock.Time().Add(15*time.Hour) {
		t.Errorf("and then: %v", err)
	}
}
