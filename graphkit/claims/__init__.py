"""Claims: small falsifiable experiments of the sheets, run and set beside the paper's figures."""
