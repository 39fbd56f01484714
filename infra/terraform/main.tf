# A connector in a VPC: one instance, always. Address, routes and the volume with the connector's identity stay when it
# is replaced; the new one takes them at its first boot (infra/connector/ec2/boot.sh).

data "aws_region" "here" {}
data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
}

locals {
  region = data.aws_region.here.region
  ec2    = "arn:${data.aws_partition.here.partition}:ec2:${local.region}:${data.aws_caller_identity.here.account_id}"
  routes = { for pair in setproduct(var.route_table_ids, var.prefixes) : "${pair[0]} ${pair[1]}" => pair }
  peers4 = [for peer in var.peers : peer if !strcontains(peer, ":")]
  peers6 = [for peer in var.peers : peer if strcontains(peer, ":")]
  settings = {
    REGION       = local.region
    BUNDLE       = "s3://${var.bundle.bucket}/${var.bundle.key}"
    SECRET       = var.secret_arn
    VOLUME       = aws_ebs_volume.identity.id
    ALLOCATION   = aws_eip.connector.allocation_id
    ROUTE_TABLES = join(" ", var.route_table_ids)
    PREFIXES     = join(" ", var.prefixes)
  }
  user_data = join("\n", concat(
    ["#!/bin/sh"],
    [for name, value in local.settings : "${name}='${value}'"],
    [file("${path.module}/../connector/ec2/boot.sh")],
  ))
}

resource "aws_security_group" "connector" {
  name_prefix = "${var.name}-"
  description = "Isthmus connector"
  vpc_id      = var.vpc_id

  dynamic "ingress" {
    for_each = [500, 4500]
    content {
      description      = "IKE, and ESP in UDP"
      protocol         = "udp"
      from_port        = ingress.value
      to_port          = ingress.value
      cidr_blocks      = local.peers4
      ipv6_cidr_blocks = local.peers6
    }
  }

  ingress {
    description      = "ESP"
    protocol         = "50"
    from_port        = 0
    to_port          = 0
    cidr_blocks      = local.peers4
    ipv6_cidr_blocks = local.peers6
  }

  ingress {
    description = "from the VPC to the other sites"
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = [var.vpc_cidr]
  }

  egress {
    protocol         = "-1"
    from_port        = 0
    to_port          = 0
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
}

resource "aws_eip" "connector" {
  domain = "vpc"
  tags   = { Name = var.name }
  lifecycle {
    # Instances take it.
    ignore_changes = [instance, network_interface]
  }
}

resource "aws_ebs_volume" "identity" {
  availability_zone = var.availability_zone
  size              = 1
  type              = "gp3"
  encrypted         = true
  final_snapshot    = true
  tags              = { Name = "${var.name}-identity" }
}

# Where the routes lead until an instance has taken them over.
resource "aws_network_interface" "nobody" {
  description       = "Isthmus: target of routes that no instance has taken over yet"
  subnet_id         = var.subnet_id
  security_groups   = [aws_security_group.connector.id]
  source_dest_check = false
}

resource "aws_route" "site" {
  for_each                    = local.routes
  route_table_id              = each.value[0]
  destination_cidr_block      = strcontains(each.value[1], ":") ? null : each.value[1]
  destination_ipv6_cidr_block = strcontains(each.value[1], ":") ? each.value[1] : null
  network_interface_id        = aws_network_interface.nobody.id
  lifecycle {
    # Instances take it over (ec2:ReplaceRoute).
    ignore_changes = [network_interface_id]
  }
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "boot" {
  statement {
    actions   = ["ec2:ModifyInstanceAttribute", "ec2:AttachVolume", "ec2:AssociateAddress"]
    resources = ["${local.ec2}:instance/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/isthmus:connector"
      values   = [var.name]
    }
  }
  statement {
    actions   = ["ec2:AttachVolume"]
    resources = [aws_ebs_volume.identity.arn]
  }
  statement {
    actions   = ["ec2:AssociateAddress"]
    resources = ["${local.ec2}:elastic-ip/${aws_eip.connector.allocation_id}"]
  }
  statement {
    actions   = ["ec2:ReplaceRoute"]
    resources = [for id in var.route_table_ids : "${local.ec2}:route-table/${id}"]
  }
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.secret_arn]
  }
  statement {
    actions   = ["s3:GetObject"]
    resources = ["arn:${data.aws_partition.here.partition}:s3:::${var.bundle.bucket}/${var.bundle.key}"]
  }
}

resource "aws_iam_role" "connector" {
  name_prefix        = "${var.name}-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "boot" {
  name   = "boot"
  role   = aws_iam_role.connector.id
  policy = data.aws_iam_policy_document.boot.json
}

resource "aws_iam_instance_profile" "connector" {
  name_prefix = "${var.name}-"
  role        = aws_iam_role.connector.name
}

resource "aws_launch_template" "connector" {
  name_prefix            = "${var.name}-"
  image_id               = data.aws_ssm_parameter.image.insecure_value
  instance_type          = var.instance_type
  user_data              = base64encode(local.user_data)
  update_default_version = true

  iam_instance_profile {
    arn = aws_iam_instance_profile.connector.arn
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  network_interfaces {
    device_index = 0
    # For the first minutes; then it has its own.
    associate_public_ip_address = true
    security_groups             = [aws_security_group.connector.id]
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size = 8
      volume_type = "gp3"
      encrypted   = true
    }
  }
}

resource "aws_autoscaling_group" "connector" {
  name_prefix         = "${var.name}-"
  min_size            = 1
  max_size            = 1
  vpc_zone_identifier = [var.subnet_id]
  # Its first boot needs what the role may.
  depends_on = [aws_iam_role_policy.boot, aws_route.site]

  launch_template {
    id      = aws_launch_template.connector.id
    version = aws_launch_template.connector.latest_version
  }

  instance_refresh {
    strategy = "Rolling"
    preferences {
      # The old one goes first: two cannot have one identity.
      min_healthy_percentage = 0
    }
  }

  tag {
    key                 = "isthmus:connector"
    value               = var.name
    propagate_at_launch = true
  }

  tag {
    key                 = "Name"
    value               = var.name
    propagate_at_launch = true
  }
}
