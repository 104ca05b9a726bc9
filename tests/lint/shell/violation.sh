#!/usr/bin/env bash
name=$1
rm -- $name
