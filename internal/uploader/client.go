package uploader

import (
	"context"
	"errors"
	"time"

	"clientele/internal/apiclient"
)

type vars = apiclient.Vars

// requestTime is how long one request may take.
const requestTime = time.Minute

// passes reports whether what was refused may be allowed a moment later.
func passes(r *apiclient.Refusal) bool {
	switch r.Extensions.Code {
	case "UNAVAILABLE", "RATE_LIMITED", "INTERNAL":
		return true
	}
	return false
}

// ask is once, tried again while the server cannot be reached or cannot answer, for Patience: for what may be
// said twice.
func (u *Upload) ask(ctx context.Context, document string, v vars, out any) error {
	pause, waited := Pause, time.Duration(0)
	for {
		err := u.once(ctx, document, v, out)
		if refused := (*apiclient.Refusal)(nil); err == nil || ctx.Err() != nil || errors.As(err, &refused) && !passes(refused) || waited >= Patience {
			return err
		}
		u.Tell("%v; trying again in %s", err, pause)
		if err := u.Wait(ctx, pause); err != nil {
			return err
		}
		waited += pause
		pause = min(2*pause, PauseMost)
	}
}

// once runs one operation, as apiclient.Client.Ask does, within requestTime.
func (u *Upload) once(ctx context.Context, document string, v vars, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	return u.API.Ask(ctx, document, v, out)
}
