//go:build tools

// Package tools names the Kubo that the tests run against.
package tools

import _ "github.com/ipfs/kubo/cmd/ipfs"
