package wechat

import (
	"context"
	"errors"
	"net/http"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// codeRequest asks for a code. Source: WeChat official account documentation: creating QR codes with parameters.
type codeRequest struct {
	Action string     `json:"action_name"`
	Life   int        `json:"expire_seconds,omitempty"`
	Info   codeAction `json:"action_info"`
}

type codeAction struct {
	Scene codeScene `json:"scene"`
}

type codeScene struct {
	Text string `json:"scene_str"`
}

// CodeURL implements services.Channel: what the platform said when it was told of the code (rule C1).
func (*Channel) CodeURL(_ *models.Account, code *models.QRCode) string { return code.PlatformURL }

// MakeCode implements services.CodeMaker. Telling it again makes at worst a second
// code of the same scene, which leads where the first does.
func (c *Channel) MakeCode(ctx context.Context, account *models.Account, code *models.QRCode, life time.Duration) (string, error) {
	in := codeRequest{Action: "QR_LIMIT_STR_SCENE", Info: codeAction{codeScene{string(code.Scene)}}}
	if life > 0 {
		in.Action, in.Life = "QR_STR_SCENE", int(min(life, limits.CodeLifeMax)/time.Second)
	}
	var out struct {
		URL string `json:"url"`
	}
	err := c.call(ctx, account, models.APIQRCodes, http.MethodPost, "/cgi-bin/qrcode/create", nil, in, &out)
	var refused *Error
	switch {
	case errors.As(err, &refused) && !errors.Is(err, services.ErrNotSent):
		return "", &services.CodeRefusal{Code: int(refused.Code)}
	case err != nil:
		return "", err
	case out.URL == "" || len(out.URL) > limits.CodeURLBytes:
		return "", errNoAnswer
	}
	return out.URL, nil
}
