output "address" {
  description = "Endpoint of the site."
  value       = aws_eip.connector.public_ip
}
