variable "name" {
  description = "Name of the connector, for its resources."
  type        = string
  default     = "isthmus"
  validation {
    condition     = can(regex("^[A-Za-z0-9-]{1,32}$", var.name))
    error_message = "The name has 1 to 32 letters, digits and hyphens."
  }
}

variable "vpc_id" {
  description = "VPC that is joined to the other sites."
  type        = string
}

variable "vpc_cidr" {
  description = "Range of the VPC; its traffic may enter the connector."
  type        = string
  validation {
    condition     = can(cidrnetmask(var.vpc_cidr))
    error_message = "Write an IPv4 range like 10.20.0.0/16."
  }
}

variable "subnet_id" {
  description = "A public subnet, which leads to the Internet by itself."
  type        = string
}

variable "availability_zone" {
  description = "Zone of the subnet; the volume with the connector's identity is there too."
  type        = string
}

variable "route_table_ids" {
  description = "Route tables that are to lead to the other sites."
  type        = list(string)
}

variable "prefixes" {
  description = "Networks of the other sites."
  type        = list(string)
  validation {
    condition     = alltrue([for prefix in var.prefixes : can(cidrhost(prefix, 0))])
    error_message = "Write ranges like 10.1.0.0/16."
  }
}

variable "peers" {
  description = "Outer addresses of the other sites' gateways, as ranges."
  type        = list(string)
  validation {
    condition     = alltrue([for peer in var.peers : can(cidrhost(peer, 0))])
    error_message = "Write ranges like 198.51.100.7/32."
  }
}

variable "secret_arn" {
  description = "Secret of Secrets Manager whose JSON has url and token: the control plane, and a join token of the site."
  type        = string
}

variable "bundle" {
  description = "The project in S3, as infra/terraform/README.md makes it."
  type        = object({ bucket = string, key = string })
}

variable "instance_type" {
  description = "Of arm64."
  type        = string
  default     = "t4g.small"
}
