"""Downloads the weights of models, completely or not at all. Knows no engine and no format of weights.

| module | what it holds |
|---|---|
| `pull` | fills a folder beside the model's place, then renames it into place |
| `download` | one file, resumed and checked |
| `hub`, `registries` | where files come from: the Hugging Face hub, package registries |
| `manifest` | the folder of models; the list of a model's files with sizes and checksums |
| `report` | progress, and the errors of a pull |
"""
