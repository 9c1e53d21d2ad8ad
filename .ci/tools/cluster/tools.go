//go:build tools

// Package tools names the IPFS Cluster that the tests run against.
package tools

import _ "github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-service"
