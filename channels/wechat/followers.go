package wechat

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// fromAdvertisement is the subscribe_scene of who came through an advertisement (rule E3).
const fromAdvertisement = "ADD_SCENE_WECHAT_ADVERTISEMENT"

// Followers implements services.Directory. Source: WeChat official account documentation: the list of followers.
func (c *Channel) Followers(ctx context.Context, account *models.Account, after models.Ident) (services.FollowersPage, error) {
	var out struct {
		Total int64 `json:"total"`
		Data  struct {
			OpenIDs []models.Ident `json:"openid"`
		} `json:"data"`
		Next models.Ident `json:"next_openid"`
	}
	query := url.Values{}
	if after != "" {
		query.Set("next_openid", string(after))
	}
	err := c.call(ctx, account, models.APIFollowers, http.MethodGet, "/cgi-bin/user/get", query, nil, &out)
	if err != nil {
		return services.FollowersPage{}, refusedForGood(err)
	}
	page := services.FollowersPage{OpenIDs: out.Data.OpenIDs, Next: out.Next, Total: out.Total}
	if len(page.OpenIDs) == 0 {
		page.Next = "" // the end, whatever it is that the list goes on with
	}
	return page, nil
}

// FollowersInfo implements services.Directory. Source: WeChat official account documentation: basic information of users, the call for many.
func (c *Channel) FollowersInfo(ctx context.Context, account *models.Account, openids []models.Ident) ([]services.FollowerInfo, error) {
	type person struct {
		OpenID models.Ident `json:"openid"`
	}
	var in struct {
		List []person `json:"user_list"`
	}
	for _, o := range openids {
		in.List = append(in.List, person{o})
	}
	if len(in.List) > limits.FollowersInfo {
		return nil, models.TooMany("", limits.FollowersInfo, "at most %d in a call", limits.FollowersInfo)
	}
	var out struct {
		List []struct {
			Follows    int          `json:"subscribe"`
			OpenID     models.Ident `json:"openid"`
			UnionID    models.Ident `json:"unionid"`
			FollowedAt int64        `json:"subscribe_time"`
			Scene      string       `json:"subscribe_scene"`
		} `json:"user_info_list"`
	}
	if err := c.call(ctx, account, models.APIFollowerInfo, http.MethodPost, "/cgi-bin/user/info/batchget", nil, in, &out); err != nil {
		return nil, refusedForGood(err)
	}
	infos := make([]services.FollowerInfo, 0, len(out.List))
	for _, p := range out.List {
		info := services.FollowerInfo{OpenID: p.OpenID}
		if p.Follows == 1 {
			info.Follows, info.UnionID, info.Advertised = true, p.UnionID, p.Scene == fromAdvertisement
			// Not in the future: what comes later would be taken for older.
			info.FollowedAt = min(models.At(time.Unix(p.FollowedAt, 0)), models.At(c.now()))
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// refusedForGood makes a *models.Error of the platform's refusal of just what was asked.
func refusedForGood(err error) error {
	var refused *Error
	if errors.As(err, &refused) && !errors.Is(err, services.ErrNotSent) {
		return models.Errorf(models.CodeState, "%s", refused.Error())
	}
	return err
}
