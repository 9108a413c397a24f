"""Models that speak, behind one interface.

| module | what it holds |
|---|---|
| `base` | the interface: `Engine`, `EngineInfo`, `Job`, `StepResult` |
| `registry` | finds the installed engines and creates those that are configured |
| `tone` | beeps instead of speech, for tests: one by clauses, one by codec frames |
| `hibari` | one English voice, on CPUs |
| `kokoro` | many voices and languages, on GPUs and CPUs |
| `common` | what several engines use: English to phonemes, alignment, editing of ONNX files |
"""
