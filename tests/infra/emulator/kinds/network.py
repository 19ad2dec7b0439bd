"""EC2: networks, security groups, launch templates."""

from moto.core.types import Base64EncodedString
from moto.ec2.models.launch_templates import LaunchTemplateVersion

from . import deletes, kind, simple, split, tagged

# moto starts no instance from a later version than the first: only there it wraps the user data.
LaunchTemplateVersion.user_data = property(lambda self: Base64EncodedString(str(self.data["UserData"])))

simple("AWS::EC2::InternetGateway", "create_internet_gateway", "InternetGateway.InternetGatewayId",
       "delete_internet_gateway", {"InternetGatewayId": "ID"}, "internet-gateway")
simple("AWS::EC2::RouteTable", "create_route_table", "RouteTable.RouteTableId", "delete_route_table",
       {"RouteTableId": "ID"}, "route-table")
simple("AWS::EC2::SubnetRouteTableAssociation", "associate_route_table", "AssociationId",
       "disassociate_route_table", {"AssociationId": "ID"})
simple("AWS::EC2::VPCEndpoint", "create_vpc_endpoint", "VpcEndpoint.VpcEndpointId", "delete_vpc_endpoints",
       {"VpcEndpointIds": ["ID"]})


@kind("AWS::EC2::VPC", deletes("ec2", "delete_vpc", VpcId="ID"))
def vpc(aws, properties, name):
    rest, support, names = split(tagged(properties, "vpc"), "EnableDnsSupport", "EnableDnsHostnames")
    made = aws.call("ec2", "create_vpc", **rest)["Vpc"]["VpcId"]
    aws.call("ec2", "modify_vpc_attribute", VpcId=made, EnableDnsSupport={"Value": support})
    aws.call("ec2", "modify_vpc_attribute", VpcId=made, EnableDnsHostnames={"Value": names})
    return made, {"CidrBlock": properties["CidrBlock"]}


@kind("AWS::EC2::Subnet", deletes("ec2", "delete_subnet", SubnetId="ID"))
def subnet(aws, properties, name):
    rest, is_public = split(tagged(properties, "subnet"), "MapPublicIpOnLaunch")
    made = aws.call("ec2", "create_subnet", **rest)["Subnet"]["SubnetId"]
    aws.call("ec2", "modify_subnet_attribute", SubnetId=made, MapPublicIpOnLaunch={"Value": is_public or False})
    return made, {}


@kind("AWS::EC2::VPCGatewayAttachment", deletes("ec2", "detach_internet_gateway", VpcId="VpcId",
                                                InternetGatewayId="InternetGatewayId"))
def attachment(aws, properties, name):
    aws.call("ec2", "attach_internet_gateway", **properties)
    return name, {}


@kind("AWS::EC2::Route", deletes("ec2", "delete_route", RouteTableId="RouteTableId",
                                 DestinationCidrBlock="DestinationCidrBlock"))
def route(aws, properties, name):
    aws.call("ec2", "create_route", **properties)
    return name, {}


def permission(rule, peer):
    rest, address, group, prefixes, description = split(
        rule, "CidrIp", f"{peer}SecurityGroupId", f"{peer}PrefixListId", "Description")
    said = {"Description": description} if description else {}
    if address:
        return rest | {"IpRanges": [{"CidrIp": address} | said]}
    if group:
        return rest | {"UserIdGroupPairs": [{"GroupId": group} | said]}
    if not prefixes.startswith("pl-"):
        raise ValueError(f"The prefix list ID '{prefixes}' does not exist")
    return rest | {"PrefixListIds": [{"PrefixListId": prefixes} | said]}


def set_rules(aws, group, properties):
    now = aws.call("ec2", "describe_security_groups", GroupIds=[group])["SecurityGroups"][0]
    for rules, peer, name, way in (("SecurityGroupIngress", "Source", "IpPermissions", "ingress"),
                                   ("SecurityGroupEgress", "Destination", "IpPermissionsEgress", "egress")):
        wanted = [permission(rule, peer) for rule in properties.get(rules, [])]
        if now[name] and (wanted or way == "ingress"):
            aws.call("ec2", f"revoke_security_group_{way}", GroupId=group, IpPermissions=now[name])
        if wanted:
            aws.call("ec2", f"authorize_security_group_{way}", GroupId=group, IpPermissions=wanted)
    return group, {"GroupId": group}


def update_security_group(aws, group, properties, name):
    return set_rules(aws, group, properties)


@kind("AWS::EC2::SecurityGroup", deletes("ec2", "delete_security_group", GroupId="ID"), update_security_group)
def security_group(aws, properties, name):
    rest, description, _, _ = split(tagged(properties, "security-group"), "GroupDescription",
                                    "SecurityGroupIngress", "SecurityGroupEgress")
    made = aws.call("ec2", "create_security_group", GroupName=name, Description=description, **rest)
    return set_rules(aws, made["GroupId"], properties)


def new_version(aws, template, properties, name):
    made = aws.call("ec2", "create_launch_template_version", LaunchTemplateId=template,
                    LaunchTemplateData=properties["LaunchTemplateData"])["LaunchTemplateVersion"]
    return template, {"LatestVersionNumber": str(made["VersionNumber"])}


@kind("AWS::EC2::LaunchTemplate", deletes("ec2", "delete_launch_template", LaunchTemplateId="ID"), new_version)
def launch_template(aws, properties, name):
    made = aws.call("ec2", "create_launch_template", **properties)["LaunchTemplate"]
    return made["LaunchTemplateId"], {"LatestVersionNumber": str(made["LatestVersionNumber"])}
