"""Graph Mamba: selective state-space models on sequences of sampled subgraphs, and of nodes, for node and graph
labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from graphkit.config import idle_unless, option
from graphkit.errors import UsageError
from graphkit.lazy import dgl, np, torch
from graphkit.methods.supervised import Batch, SupervisedConfig, SupervisedLearner

if TYPE_CHECKING:
    import numpy

NODES_AT_ONCE = 4096  # whose tokens are encoded together when evaluating
# What the numbers drawn for a node are for; they come from one seed.
TIES, BUCKETS, SHUFFLE = 0, 1, 2
STEP = 2**32  # more than any number of a node
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


class Drawn(NamedTuple):
    """A batch and the seed of its walks, ties and buckets."""

    batch: Batch
    seed: int


class GraphMamba(SupervisedLearner):
    """Logits of nodes or graphs from bidirectional Mamba blocks, with message passing beside them.

    m >= 1: token (k, r) of a node is the subgraph induced by the nodes that M random walks of k steps visit, k = m..0,
    s of each but the last; a local encoder makes a vector of it, Mamba layers run over the sequence of the m s + 1
    vectors, from the widest subgraph to the node itself, and the last place (or the mean) is the node's vector. Then,
    and with m = 0 from the start, H <- BiMamba(H) + MPNN(H, E) with the nodes of a graph as one sequence, in ascending
    order of PageRank or degree; ties fall at random. Walks, ties and buckets are drawn anew for every step of training,
    and by a fixed seed when evaluating. See :mod:`graphkit.nn.graph_mamba` and :class:`graphkit.nn.mamba.BiMamba` for
    the formulas.

    No code of the method was published. Read-out and final scan follow accounts of the paper; norms and residuals are
    ours.

    Time and memory linear in nodes and edges: O(n (m s + 1)(M m + d N) + |E| d) per epoch. With a sampler, a step draws
    the subgraphs of the nodes of its piece alone, from the whole graph; when evaluating they are encoded by 4,096 nodes
    at a time.

    Reference: Behrouz, Hashemi: Graph Mamba: Towards Learning on Graphs with State Space Models, KDD 2024.
    """

    Config = GraphMambaConfig

    def sampled_layers(self) -> int:
        """Layers of neighbours that a sampler has to draw."""
        return max(1, len(self.config.scans()))

    def prepare_all(self, graphs: list) -> list:
        """Add the raw encodings."""
        from graphkit.nn import encodings

        chosen = encodings.parse(self.config.graph_pe)
        used = sum(encoding.dim for encoding in chosen)
        if used >= self.config.hidden_dim:
            raise UsageError(
                f"--pe {self.config.pe}: takes {used} of --hidden-dim {self.config.hidden_dim}, expected less"
            )
        encodings.compute(graphs, chosen, torch.get_num_threads())
        return graphs

    def _read(self, dataset):
        """As the base has it; nodes know their number and the rank of their score, and walks have a source."""
        from graphkit.sampling.node_order import ranks
        from graphkit.sampling.walk_tokens import WalkTokens

        config, (graphs, whole) = self.config, super()._read(dataset)
        base = whole if graphs is None else graphs.whole
        counts = np.array([base.num_nodes()]) if graphs is None else np.diff(graphs.node_starts.numpy())
        base.ndata["_id"] = torch.arange(base.num_nodes())
        base.ndata["_rank"] = ranks(base, counts, config.order)
        self.base, self.source = base, None
        if config.m:
            rwf = config.local_encoder == "rwf"
            self.source = WalkTokens(
                base,
                m=config.m,
                walks=config.walks,
                repeats=config.repeats,
                paths=rwf,
                visits=config.visit_counts,
                subgraphs=config.local_encoder == "gatedgcn",
                window=config.walk_window if rwf else 0,
            )
        return graphs, whole

    def prepare(self, dataset, *, seed: int, device: str) -> None:
        """As the base has it, after a check that the scan can run on the device."""
        if self.config.scan == "numba" and torch.device(device).type != "cpu":
            raise UsageError(
                f"--scan is numba, which runs on the CPU alone, but the device is {device}; expected auto or chunked"
            )
        super().prepare(dataset, seed=seed, device=device)

    def build(self, dims):
        """Return the model."""
        from graphkit.nn import encodings
        from graphkit.nn.graph_mamba import GraphMamba as Model

        return Model(self.config, encodings.parse(self.config.graph_pe), dims)

    def last_layers(self):
        """The head, behind the pooling of a graph's nodes."""
        return [self.model.head.layers]

    def make_optimizer(self):
        """The optimiser, without weight decay on A_log and D."""
        from graphkit.nn.mamba import decay_groups

        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[self.config.optimizer]
        return kind(decay_groups(self.model, self.config.weight_decay), lr=self.config.lr)

    def batches(self, epoch: int, generator: numpy.random.Generator) -> Iterator[Drawn]:
        """Yield the base's batches, each with a seed from the generator."""
        for batch in super().batches(epoch, generator):
            yield Drawn(batch, int(generator.integers(2**62)))

    def loss(self, drawn: Drawn) -> torch.Tensor:
        """The loss of the batch's scored rows, with walks and ties of its seed."""
        batch = drawn.batch
        logits = self.logits_by(batch.graph, batch.x, batch.e, drawn.seed)
        logits = logits if batch.rows is None else logits[batch.rows]
        return self.targets.loss(logits, batch.y, self.config.class_weights)

    def forward(self, graph, x, e) -> torch.Tensor:
        """Logits of an evaluation: the mean over ``eval_draws`` draws, which the learner's seed fixes."""
        draws = self.config.eval_draws
        seeds = np.random.default_rng([self.seed, 1]).integers(2**62, size=draws).tolist()
        return sum(self.logits_by(graph, x, e, seed) for seed in seeds) / draws

    def logits_by(self, graph, x, e, seed: int) -> torch.Tensor:
        """Logits of a graph, or a list of blocks, with walks, ties and buckets of a seed."""
        first = graph[0] if isinstance(graph, list) else graph
        ids, rank = first.srcdata["_id"], first.srcdata["_rank"]
        if self.config.m:
            h, positions = self._token_vectors(ids.cpu().numpy(), seed)
        else:
            h, positions = self.model.embed(_holder(first.srcdata), x)
        noise = self._uniform(seed, ids, TIES)
        buckets = (self._uniform(seed, ids, BUCKETS) * self.config.buckets).long() if self.config.buckets > 1 else None
        return self.model(graph, h, positions, e, rank, noise, buckets)

    def _token_vectors(self, ids: numpy.ndarray, seed: int):
        if self.model.training:
            return self._some_token_vectors(ids, seed)
        parts = [
            self._some_token_vectors(ids[at : at + NODES_AT_ONCE], seed) for at in range(0, len(ids), NODES_AT_ONCE)
        ]
        return tuple(torch.cat(found) for found in zip(*parts))

    def _some_token_vectors(self, ids: numpy.ndarray, seed: int):
        tokens = self.source.draw(ids, seed).to(self.device)
        base, nodes = self.base, tokens.nodes.to(self.base.device)
        x = base.ndata["feat"][nodes].to(self.device) if "feat" in base.ndata else tokens.nodes
        e = None
        if tokens.edges is not None and "feat" in base.edata:
            e = base.edata["feat"][tokens.edges.to(base.device)].to(self.device)
        raw = {key: value[nodes].to(self.device) for key, value in base.ndata.items() if key.startswith("_pe_")}
        order = None
        if self.config.shuffle_tokens:
            places = torch.from_numpy(ids).unsqueeze(1) * len(tokens.lengths) + torch.arange(len(tokens.lengths))
            order = self._uniform(seed, places, SHUFFLE).argsort(1)
        return self.model.token_vectors(_holder(raw, len(tokens.nodes), self.device), x, e, tokens, order)

    def _uniform(self, seed: int, places: torch.Tensor, purpose: int) -> torch.Tensor:
        from graphkit.kernels.splitmix import uniform

        return torch.from_numpy(uniform(seed, places.cpu().numpy() + purpose * STEP)).to(self.device)

    def logits_of(self, dataset) -> torch.Tensor:
        """As the base has it, with walks on the new graph."""
        mine = self.base, self.source
        try:
            return super().logits_of(dataset)
        finally:
            self.base, self.source = mine


def _holder(values, count: int | None = None, device=None):
    """A graph without edges that holds the raw encodings of nodes."""
    count = len(values["_id"]) if count is None else count
    graph = dgl.graph(([], []), num_nodes=count, device=device or values["_id"].device)
    for key in [key for key in values if key.startswith("_pe_")]:
        graph.ndata[key] = values[key]
    return graph
