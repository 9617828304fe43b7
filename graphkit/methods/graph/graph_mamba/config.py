"""Options of GraphMamba."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import idle_unless, option
from graphkit.core.errors import UsageError
from graphkit.core.options import SupervisedConfig

VISITS = "walks"  # the word of --pe for anonymous-walk counts, which belong to a token and not to a graph


NEED_EDGES = ("signnet-mlp", "signnet-ds", "peg")


@dataclass(frozen=True)
class GraphMambaConfig(SupervisedConfig):
    """Options of Graph Mamba; the paper's tuned values are not public."""

    m: int = option(
        3, "longest walk, in steps, of a node's subgraphs; 0: nodes themselves are the tokens of one sequence", min=0
    )
    walks: int = option(4, "random walks whose nodes make one subgraph (M)", min=1)
    repeats: int = option(2, "subgraphs for each length of walk (s)", min=1)
    local_encoder: str = option(
        "gatedgcn",
        "subgraph to vector: message passing, features of the walks, or mean of the nodes",
        choices=("gatedgcn", "rwf", "mean"),
    )
    local_layers: int = option(1, "message-passing layers of local encoder gatedgcn", min=1)
    walk_window: int = option(
        3, "rwf: steps back to which identity and adjacency bits of a walk look; 0: no bits", min=0
    )
    token_pool: str = option(
        "mean", "how a local encoder joins the nodes, or the walks, of a subgraph", choices=("mean", "sum")
    )
    token_layers: int = option(1, "bidirectional Mamba layers on each node's sequence of subgraphs", min=1)
    readout: str = option(
        "last",
        "place of its sequence that gives the node's vector: the last, which is the node alone, or all",
        choices=("last", "mean"),
    )
    order: str = option(
        "ppr", "score that sorts the nodes, ascending, for scans over them", choices=("ppr", "degree", "random")
    )
    node_scan: str = option(
        "last", "m >= 1: layers that scan over the nodes too; with m 0 all do", choices=("last", "all", "none")
    )
    buckets: int = option(1, "parts into which a graph's nodes fall at random, each scanned for itself", min=1)
    mpnn: str = option(
        "gatedgcn", "message-passing layer beside the scan over the nodes", choices=("gatedgcn", "gine", "pna", "none")
    )
    combine: str = option("sum", "how scan and message passing join", choices=("sum", "concat"))
    feed_forward: bool = option(False, "feed-forward part after each layer, as in GPS layers")
    num_layers: int = option(3, "layers of scan and message passing over the nodes", min=1)
    hidden_dim: int = option(64, "width of all layers (d)", min=1)
    d_state: int = option(16, "states of the state-space model per channel (N)", min=1)
    d_conv: int = option(4, "width of the convolution before the scan", min=1)
    expand: int = option(2, "width inside a Mamba block over that outside", min=1)
    discretization: str = option(
        "euler",
        "input weight of the scan: dt B, as in Mamba's code, or the exact zero-order hold",
        choices=("euler", "zoh"),
    )
    scan: str = option(
        "auto",
        "how the scan is computed; auto: numba on the CPU, chunked on CUDA",
        choices=("auto", "numba", "chunked", "loop"),
    )
    pe: str = option(
        "none",
        "encodings NAME[:K[:DIM]],...: lappe, lappe-sym, lappe-mean, rwse, rwrows, rwcols, "
        "hkdiag, elstatic[:DIM], and walks, "
        "the share of a subgraph's walks at a node after each step",
    )
    edge_pe: bool = option(False, "add the difference of the encodings of its ends to each edge")
    eval_draws: int = option(1, "draws of walks and ties whose logits are averaged when evaluating", min=1)
    shuffle_tokens: bool = option(False, "control: train and evaluate with every node's subgraphs in random order")
    dropout: float = option(0.1, "dropout after each part of a layer", min=0, max=1)
    norm: str = option("batch", "norm after scan and after message passing", choices=("none", "batch", "layer"))
    act: str = option("relu", "activation outside the Mamba blocks", choices=("relu", "gelu", "elu", "silu"))
    pool: str = option("mean", "node vectors to graph vector", choices=("mean", "add", "max"))
    head_layers: int = option(1, "linear layers of the head", min=1)
    lr: float = option(0.001, "learning rate", min=0)
    weight_decay: float = option(0.01, "L2 penalty of adam, decoupled decay of adamw; none on A_log and D", min=0)
    optimizer: str = option("adamw", "optimiser", choices=("adam", "adamw"))
    schedule: str = option("cosine", "learning rate over the epochs", choices=("constant", "cosine", "step"))
    warmup: int = option(5, "epochs over which the learning rate rises linearly", min=0)
    clip_norm: float = option(1.0, "clip the gradient to this norm; 0: no clipping", min=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        words = [part.strip().partition(":")[0] for part in self.pe.split(",")]
        for word in NEED_EDGES:
            if word in words:
                raise UsageError(
                    f"--pe {word}: needs the edges of the whole graph in every step, which a batch of subgraphs lacks"
                )
        if self.visit_counts and self.m == 0:
            raise UsageError(
                f"--pe {VISITS}: counts the walks of a node's subgraphs, but --m is 0; expected m of at least 1"
            )
        if self.edge_pe and not self.graph_pe:
            raise UsageError("--edge-pe: takes differences of encodings, but --pe names none that all nodes have")

    def idle(self, data: str | None = None) -> dict[str, str]:
        """Options of tokens, encoders and edges that nothing looks at, beside the base's."""
        encoder = f"--local-encoder {self.local_encoder}"
        tokens = (
            "walks",
            "repeats",
            "local_encoder",
            "token_pool",
            "token_layers",
            "readout",
            "node_scan",
            "shuffle_tokens",
        )
        edges = self.mpnn != "none" or (self.m > 0 and self.local_encoder == "gatedgcn")
        return {
            **super().idle(data),
            **idle_unless(self.local_encoder == "gatedgcn", encoder, "local_layers"),
            **idle_unless(self.local_encoder == "rwf", encoder, "walk_window"),
            **idle_unless(self.m > 0, "--m 0", *tokens, "local_layers", "walk_window"),
            **idle_unless(edges, f"--mpnn none with {encoder if self.m else '--m 0'}", "edge_pe"),
            **idle_unless(
                self.mpnn != "none",
                "--mpnn none",
                "combine",
                *(("num_layers",) if self.m and self.node_scan != "all" else ()),
            ),
            **idle_unless(self.m == 0 or self.node_scan != "none", "--node-scan none", "order", "buckets", "combine"),
        }

    @property
    def visit_counts(self) -> bool:
        """Whether the encodings ask for anonymous-walk counts."""
        return VISITS in [part.strip() for part in self.pe.split(",")]

    @property
    def graph_pe(self) -> str:
        """The encodings that are computed once for a graph."""
        parts = [part.strip() for part in self.pe.split(",")]
        kept = ",".join(part for part in parts if part != VISITS)
        return "" if kept == "none" else kept

    def scans(self) -> list[bool]:
        """For each layer over the nodes, whether it scans; layers that would do nothing are left out."""
        count = self.num_layers
        if self.m == 0 or self.node_scan == "all":
            return [True] * count
        scans = [False] * (count - 1) + [self.node_scan == "last"]
        return [scan for scan in scans if scan or self.mpnn != "none"]
