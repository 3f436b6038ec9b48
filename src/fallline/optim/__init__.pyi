# Made by `make stubs` from the rules; do not edit.
from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from torch import Tensor

from ..rules.rule import Rule
from . import recipes as recipes
from .backward import in_backward as in_backward
from .base import Params as Params
from .base import RuleOptimizer as RuleOptimizer
from .curvature import CurvatureOptimizer as CurvatureOptimizer
from .full_batch import BFGS as BFGS
from .full_batch import LBFGS as LBFGS
from .full_batch import Newton as Newton

def class_of(rule: str | Rule) -> type[RuleOptimizer]: ...
def call(rule: str | Rule, settings: Mapping[str, Any] = ..., params: str = ...) -> str: ...
def class_name(rule: str | Rule) -> str: ...
def optimizer(rule: str | Rule, params: Params, **settings: float) -> RuleOptimizer: ...
def __getattr__(name: str) -> type[RuleOptimizer]: ...  # the user's own rules

class Modifiers(TypedDict, total=False):
    """Settings of modifiers, which every class takes; without one, or at 0, it is left out."""

    accumulate: float | None
    agc: float | None
    agc_eps: float
    asam: float | None
    asam_eta: float
    cautious: bool | None
    centralize: bool | None
    clip_norm: float | None
    clip_tensor_norm: float | None
    clip_value: float | None
    ema: float | None
    ema_debias: float
    independent_decay: float | None
    peak_lr: float
    kahan_sum: bool | None
    l1: float | None
    l2: float | None
    lookahead: float | None
    noise: float | None
    noise_decay: float
    noise_seed: float
    sam: float | None
    sign: bool | None
    state_8bit: bool | None
    state_bfloat16: bool | None
    stochastic_rounding: float | None

class ADOPT(RuleOptimizer):
    """Momentum of gradients scaled by the second moment before them, clipped: it converges for any `beta2`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.9999),
        eps: float = 1e-06,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AMSBound(RuleOptimizer):
    """AdaBound with the largest second moment so far."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        final_lr: float = 0.1,
        gamma: float = 0.001,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AMSGrad(RuleOptimizer):
    """Adam with the largest second moment so far."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class APOLLO(RuleOptimizer):
    """AdamW's scaling of channels, estimated in a random low-rank space; AdamW for all that is no matrix."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        rank: float = 128.0,
        update_proj_gap: float = 200.0,
        scale: float = 1.0,
        growth: float = 1.01,
        seed: float = 0.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class ASGD(RuleOptimizer):
    """Averaged SGD (Polyak & Juditsky 1992), the average in `ax`. Settings and numbers as `torch.optim.ASGD`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        lambd: float = 0.0001,
        alpha: float = 0.75,
        t0: float = 1000000.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AccSGD(RuleOptimizer):
    """Accelerated SGD: a short step, drawn toward an average `w` that takes steps `kappa` times as long."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        kappa: float = 1000.0,
        xi: float = 10.0,
        constant: float = 0.7,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdEMAMix(RuleOptimizer):
    """Adam with a second, far slower average of gradients."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        eps: float = 1e-08,
        alpha: float = 5.0,
        alpha_warmup: float = 0.0,
        beta3_warmup: float = 0.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        beta3: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdaBelief(RuleOptimizer):
    """Adam that trusts a gradient by how near it is to the average: long steps where it comes as expected."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdaBound(RuleOptimizer):
    """Adam whose rates are held between bounds that close in on one rate: it ends as momentum."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        final_lr: float = 0.1,
        gamma: float = 0.001,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdaMuon(RuleOptimizer):
    """Muon with Adam's second moment, and AdamW for all that is no matrix."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.95,
        eps: float = 1e-08,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.01,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdaPNM(RuleOptimizer):
    """AMSGrad with positive-negative momentum."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        beta0: float = 1.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Adadelta(RuleOptimizer):
    """Adadelta (Zeiler 2012). Settings and numbers as `torch.optim.Adadelta`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-06,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Adafactor(RuleOptimizer):
    """Adafactor (Shazeer & Stern 2018), as in PyTorch. Settings and numbers as `torch.optim.Adafactor`.

    `eps=(None, ...)` is the rounding error of the group's first parameter's type.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 0.001),
        d: float = 1.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdafactorMomentum(RuleOptimizer):
    """Adafactor in the paper's own form, with an average of its steps."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        beta1: float = 0.9,
        beta2_decay: float = -0.8,
        eps1: float = 1e-30,
        eps2: float = 0.001,
        d: float = 1.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Adagrad(RuleOptimizer):
    """Adagrad (Duchi et al. 2011). Settings and numbers as `torch.optim.Adagrad`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Adam(RuleOptimizer):
    """Adam (Kingma & Ba 2015). Settings and numbers as `torch.optim.Adam`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdamEpsilonHat(RuleOptimizer):
    """Adam with the corrections absorbed in the rate; `eps` is the paper's epsilon-hat."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdamMini(RuleOptimizer):
    """Adam with one second moment a row of a matrix (an output neuron, a token, a filter) and one for a vector."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdamMiniTensor(RuleOptimizer):
    """Adam with one second moment for a whole tensor, the mean square of its gradients."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdamP(RuleOptimizer):
    """Adam without the radial part of its step on scale-invariant weights, which decay by `wd_ratio` as much."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        delta: float = 0.1,
        wd_ratio: float = 0.1,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdamUncorrected(RuleOptimizer):
    """Adam without bias correction: its first steps are too long."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AdamW(RuleOptimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019). Settings and numbers as `torch.optim.AdamW`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Adamax(RuleOptimizer):
    """Adam with the infinity norm (Kingma & Ba 2015). Settings and numbers as `torch.optim.Adamax`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.002,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Adan(RuleOptimizer):
    """Adaptive Nesterov momentum: averages of the gradient, of its change, and of the square of their sum."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        beta3: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AddSign(RuleOptimizer):
    """Longer steps where gradient and average gradient agree in sign; none where they do not."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.1,
        beta: float = 0.9,
        strength: float = 1.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class AggMo(RuleOptimizer):
    """Aggregated momentum: the mean of three velocities, damped to different degrees."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float, float] = (0.0, 0.9, 0.99),
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        beta3: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Apollo(RuleOptimizer):
    """Divide the average gradient by a diagonal Hessian that obeys the weak secant equation."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        beta: float = 0.9,
        eps: float = 0.0001,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class CAME(RuleOptimizer):
    """Adafactor's step averaged, and shortened where it strays from its average: its confidence, factored too."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.0002,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        eps1: float = 1e-30,
        eps2: float = 1e-16,
        d: float = 1.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        beta3: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class ClassicalMomentum(RuleOptimizer):
    """Heavy ball, velocity of steps: the rate is inside the velocity, so a new rate acts gradually."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class DAdaptAdam(RuleOptimizer):
    """Adam, its rate a lower bound of the distance to the solution. Decoupled decay goes with that rate."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        d0: float = 1e-06,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class DAdaptSGD(RuleOptimizer):
    """SGD by dual averaging, its rate a lower bound of the distance to the solution over the first gradient's norm."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        d0: float = 1e-06,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class DoG(RuleOptimizer):
    """SGD, its rate the largest distance from the start over the root of the sum of squared gradient norms."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        reps_rel: float = 1e-06,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class GaLore(RuleOptimizer):
    """AdamW in a low-rank space that follows the gradient, and AdamW for all that is no matrix."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        rank: float = 128.0,
        update_proj_gap: float = 200.0,
        scale: float = 0.25,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Grams(RuleOptimizer):
    """Adam's step in size, the gradient's sign in direction."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-06,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class LAMB(RuleOptimizer):
    """Adam whose step in each tensor is as long as the tensor is, times the rate."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-06,
        weight_decay: float = 0.01,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class LARS(RuleOptimizer):
    """Heavy ball whose rate in each tensor is in proportion to the tensor's norm over its gradient's."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0005,
        trust: float = 0.001,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class LDoG(RuleOptimizer):
    """DoG for each tensor on its own."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        reps_rel: float = 1e-06,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class LaProp(RuleOptimizer):
    """Momentum of gradients that are scaled first: any `beta1` goes with any `beta2`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.0004,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-15,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Lion(RuleOptimizer):
    """The sign of an average of momentum and gradient."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.0001,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class MADGRAD(RuleOptimizer):
    """Dual averaging from the start, divided by the cube root of the summed squares, with momentum by averaging."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        momentum: float = 0.9,
        eps: float = 1e-06,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class MARS(RuleOptimizer):
    """Adam on gradients of reduced variance."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.003,
        betas: tuple[float, float] = (0.95, 0.99),
        eps: float = 1e-08,
        gamma: float = 0.025,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class MARSLion(RuleOptimizer):
    """The sign of an average of gradients of reduced variance."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.0003,
        beta1: float = 0.95,
        gamma: float = 0.025,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Momentum(RuleOptimizer):
    """Heavy ball, velocity of gradients: the rate multiplies the velocity, so a new rate acts at once."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Muon(RuleOptimizer):
    """Muon (Jordan et al. 2024). Settings and numbers as `torch.optim.Muon`, which takes matrices alone.

    AdamW steps all that has fewer than two dimensions, at the group's rate: give `adjust_lr_fn="match_rms_adamw"`, with
    which one rate serves both, or such parameters a group with a rate of its own. A group with `elementwise=True`
    (embeddings, output layers) is AdamW's whole. Tensors of more dimensions are matrices of their first by all others.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-07,
        ns_steps: float = 5,
        adjust_lr_fn: str | None = None,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class NAdam(RuleOptimizer):
    """Adam with Nesterov momentum (Dozat 2016). Settings and numbers as `torch.optim.NAdam`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.002,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        momentum_decay: float = 0.004,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Nesterov(RuleOptimizer):
    """Nesterov momentum, transformed: `p` is the look-ahead point, where the gradient is taken."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class NesterovLookahead(RuleOptimizer):
    """Nesterov momentum, look-ahead form: back to the iterate, step with the gradient ahead of it, look ahead again."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class NorMuon(RuleOptimizer):
    """Muon with a rate for every row, and AdamW for all that is no matrix."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-08,
        weight_decay: float = 0.01,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class NovoGrad(RuleOptimizer):
    """Momentum of gradients, each tensor's divided by one number: the root of its average squared norm."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        betas: tuple[float, float] = (0.95, 0.98),
        eps: float = 1e-08,
        weight_decay: float = 0.001,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class PNM(RuleOptimizer):
    """Positive-negative momentum: the difference of two momenta, of odd and of even steps, which amplifies noise."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        beta1: float = 0.9,
        beta0: float = 1.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class PSGD(RuleOptimizer):
    """Momentum times P = Q^T Q, Q a Kronecker product of triangular factors that are fitted to whiten it."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        beta1: float = 0.9,
        precondition_lr: float = 0.1,
        precondition_frequency: float = 1.0,
        max_precondition_dim: float = 2048.0,
        max_rms: float = 1.1,
        seed: float = 0.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class PowerSign(RuleOptimizer):
    """Larger steps, by a power of e, where gradient and average gradient agree in sign; smaller where they do not."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.1,
        beta: float = 0.9,
        strength: float = 1.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Prodigy(RuleOptimizer):
    """Adam, its rate an estimate of the distance to the solution, from the way come so far along the gradients."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        d0: float = 1e-06,
        d_coef: float = 1.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class QHAdam(RuleOptimizer):
    """Adam with both moments mixed with what they average."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.995, 0.999),
        eps: float = 1e-08,
        nu1: float = 0.7,
        nu2: float = 1.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class QHM(RuleOptimizer):
    """Quasi-hyperbolic momentum: a mean of the gradient and of its average."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        momentum: float = 0.999,
        nu: float = 0.7,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class RAdam(RuleOptimizer):
    """Adam with a rectified rate (Liu et al. 2020). Settings and numbers as `torch.optim.RAdam`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class RMSprop(RuleOptimizer):
    """RMSProp (Tieleman & Hinton 2012), epsilon outside the root. Settings and numbers as `torch.optim.RMSprop`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class RMSpropCentered(RuleOptimizer):
    """RMSProp divided by the gradient's standard deviation."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class RMSpropCenteredMomentum(RuleOptimizer):
    """Centered RMSProp with heavy-ball momentum."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-08,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class RMSpropInside(RuleOptimizer):
    """RMSProp with epsilon under the root."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class RMSpropMomentum(RuleOptimizer):
    """RMSProp with heavy-ball momentum on the scaled gradient."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-08,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Ranger(RuleOptimizer):
    """RAdam on centered gradients, and every few steps a part of the way back to slow weights."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.95, 0.999),
        eps: float = 1e-05,
        lookahead_steps: float = 6.0,
        lookahead_rate: float = 0.5,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Rprop(RuleOptimizer):
    """Rprop (Riedmiller & Braun 1993), for full batches. Settings and numbers as `torch.optim.Rprop`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-06, 50.0),
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        weight_decay: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class SGD(RuleOptimizer):
    """Gradient descent, with heavy-ball or Nesterov momentum. Settings and numbers as `torch.optim.SGD`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class SGDP(RuleOptimizer):
    """Heavy ball without the radial part of its step on scale-invariant weights, which decay by `wd_ratio` as much."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        delta: float = 0.1,
        wd_ratio: float = 0.1,
        eps: float = 1e-08,
        dampening: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class SGDW(RuleOptimizer):
    """Heavy ball with decoupled weight decay."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 0.0005,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class SM3(RuleOptimizer):
    """Adagrad on a cover by rows and columns: a coordinate's sum is the lesser of its row's and its column's."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.1,
        eps: float = 1e-30,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class SOAP(RuleOptimizer):
    """Adam in the eigenbasis of Shampoo's second moments, and AdamW for all that is no matrix."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.003,
        betas: tuple[float, float] = (0.95, 0.95),
        shampoo_beta: float = 0.95,
        eps: float = 1e-08,
        precondition_frequency: float = 10.0,
        max_precondition_dim: float = 2048.0,
        weight_decay: float = 0.01,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class ScheduleFreeAdamW(RuleOptimizer):
    """AdamW whose average takes the place of momentum and of a schedule. Decay is taken at `y`."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.0025,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        warmup_steps: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class ScheduleFreeRAdam(RuleOptimizer):
    """Schedule-free AdamW warmed up by RAdam's rectification; it stands still while the variance is unbounded."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.0025,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class ScheduleFreeSGD(RuleOptimizer):
    """SGD whose average takes the place of a schedule. Decay is taken at `y`, where the gradient is."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        warmup_steps: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Scion(RuleOptimizer):
    """Steps towards the corner of a norm ball, of the norm that suits the layer; weights stay in the ball."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.9,
        radius: float = 10.0,
        eps: float = 1e-08,
        weight_decay: float = 1.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class ScionUnconstrained(RuleOptimizer):
    """Hidden layers step in the spectral norm, embeddings and output layers by sign, biases by root mean square."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.9,
        radius: float = 10.0,
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Shampoo(RuleOptimizer):
    """The gradient between the inverse fourth roots of its summed second moments, of rows and of columns."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.1,
        eps: float = 1e-06,
        precondition_frequency: float = 1.0,
        max_precondition_dim: float = 2048.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class SignSGD(RuleOptimizer):
    """A step of one length in every coordinate, against the gradient's sign."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Signum(RuleOptimizer):
    """The sign of the average gradient."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.0001,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Sophia(CurvatureOptimizer):
    """Momentum over an average of the Hessian's diagonal, clipped to one."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.0006,
        betas: tuple[float, float] = (0.96, 0.99),
        eps: float = 1e-12,
        gamma: float = 0.01,
        every: float = 10.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class SparseAdam(RuleOptimizer):
    """Adam for sparse gradients, lazily. Settings and numbers as `torch.optim.SparseAdam`; takes dense ones too."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        weight_decay: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class StableAdamW(RuleOptimizer):
    """AdamW with Adafactor's clipping: the rate falls where a tensor's gradients outgrow their second moment."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-06,
        weight_decay: float = 0.01,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Tiger(RuleOptimizer):
    """Signum with the memory that suits large models: Lion with one decay rate."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        beta: float = 0.965,
        weight_decay: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...

class Yogi(RuleOptimizer):
    """Adam whose second moment moves by the size of the squared gradient alone, so that it falls slowly."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 0.001,
        initial_accumulator_value: float = 1e-06,
        weight_decay: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
        amsgrad: bool | None = ...,
        lookahead_rate: float = ...,
        nesterov: float | None = ...,
        **modifiers: Unpack[Modifiers],
    ) -> None: ...
