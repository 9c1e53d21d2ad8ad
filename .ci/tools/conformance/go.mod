module conformance

go 1.26

require github.com/ipfs/gateway-conformance v0.13.2
