// Package rig is what the load programs share: a private MariaDB with default durability, the
// product as its built binary, a data set, cheap clients, and the line of figures.
//
// The database and the product are processes of their own, and the load comes from this one; all
// talk over loopback. Whatever was started is stopped by Rig.Close, and ends with this process
// should it die before (on Linux).
package rig
