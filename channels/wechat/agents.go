package wechat

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// noAgents say that an account has no agents, or may not ask for them.
var noAgents = []Code{CodeNoAgents, CodeNotAuthorised, CodeBanned, CodeNoPermission}

// knownAgents is an account's agents, by WeChat id, as the platform told of them.
type knownAgents struct {
	ids   map[models.Ident]bool
	until models.Time
}

// ServiceAgents implements services.Channel. The platform knows its agents by WeChat id alone, so somebody who is named by openid is none as far
// as it can tell; who was invited as an agent and has not answered is none yet. What it says is believed for limits.ServiceAgentsAge. An account that has no agents, may not ask
// for them, or has no app secret, has none.
// Source: WeChat official account documentation: customer-service accounts, the list.
func (c *Channel) ServiceAgents(ctx context.Context, account *models.Account, people []services.Person) ([]bool, error) {
	are := make([]bool, len(people))
	if !slices.ContainsFunc(people, func(p services.Person) bool { return p.WechatID != "" }) {
		return are, nil
	}
	ids, err := c.agentsOf(ctx, account)
	if err != nil {
		return nil, err
	}
	for i, p := range people {
		are[i] = p.WechatID != "" && ids[p.WechatID]
	}
	return are, nil
}

func (c *Channel) agentsOf(ctx context.Context, account *models.Account) (map[models.Ident]bool, error) {
	now := models.At(c.now())
	c.agentsMu.Lock()
	known := c.agents[account.Key]
	c.agentsMu.Unlock()
	if now < known.until {
		return known.ids, nil
	}
	var out struct {
		Agents []struct {
			WechatID models.Ident `json:"kf_wx"`
		} `json:"kf_list"`
	}
	err := c.call(ctx, account, models.APIServiceAgents, http.MethodGet, "/cgi-bin/customservice/getkflist", nil, nil, &out)
	var refused *Error
	switch {
	case errors.Is(err, services.ErrNoSecret):
		return nil, nil //nolint:nilnil // none that can be known.
	case errors.As(err, &refused) && refused.API == models.APIServiceAgents && slices.Contains(noAgents, refused.Code):
	case err != nil:
		return nil, err
	}
	ids := make(map[models.Ident]bool, len(out.Agents))
	for _, a := range out.Agents {
		ids[a.WechatID] = true
	}
	c.agentsMu.Lock()
	defer c.agentsMu.Unlock()
	c.agents[account.Key] = knownAgents{ids: ids, until: now.Add(limits.ServiceAgentsAge)}
	return ids, nil
}
