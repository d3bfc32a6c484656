// Package wechat is the channel to a WeChat service account (rule K1). It holds the platform's
// protocol and nothing of the product's rules: the callback turns what the platform posts into
// models.Inbound and hands it to the Ingester; what follows from it is decided by services.
//
// It must not write to the database, know a setting of the product, or keep state between two
// callbacks: every node answers every callback alike.
package wechat
