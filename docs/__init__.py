"""The docs site: what a person must say is written in `pages/`; what the code knows is made from it at each build.

`hook.py` is called by MkDocs and adds the made pages: `rule_page` (one for each rule), `rule_list`, `modifier_list`,
`commands` and `reference`. Each is a function from the code to Markdown, so that a new rule, modifier, verb or public
name has its page without another line. `words.py` is the Markdown that they share.
"""
