"""The tools that messages are sent with, one module each."""

from allocator.export.tool import Tool
from allocator.export.tools import braze, customerio, hubspot, klaviyo, mailchimp, plain, salesforce

TOOLS: dict[str, Tool] = {
    module.TOOL.name: module.TOOL
    for module in (braze, klaviyo, salesforce, customerio, mailchimp, hubspot, plain)
}
"""By the name on the command line."""
