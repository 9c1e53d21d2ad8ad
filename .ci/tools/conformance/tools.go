//go:build tools

// Package tools names the conformance suite that the gateway is held to.
package tools

import _ "github.com/ipfs/gateway-conformance/cmd/gateway-conformance"
