# Made by `make stubs` from the rules; do not edit.
from torch import Tensor

from ..rules.rule import Rule
from .base import Params as Params
from .base import RuleOptimizer as RuleOptimizer

def class_of(rule: str | Rule) -> type[RuleOptimizer]: ...
def class_name(rule: str | Rule) -> str: ...
def optimizer(rule: str | Rule, params: Params, **settings: float) -> RuleOptimizer: ...
def __getattr__(name: str) -> type[RuleOptimizer]: ...  # the user's own rules

class AMSGrad(RuleOptimizer):
    """Adam with the largest second moment so far."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
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
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
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
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
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
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
    ) -> None: ...

class ClassicalMomentum(RuleOptimizer):
    """Heavy ball, velocity of steps: the rate is inside the velocity, so a new rate acts gradually."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
    ) -> None: ...

class Lion(RuleOptimizer):
    """The sign of an average of momentum and gradient."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.0001,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        beta1: float = ...,
        beta2: float = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
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
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
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
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
    ) -> None: ...

class NesterovLookahead(RuleOptimizer):
    """Nesterov momentum, look-ahead form: back to the iterate, step with the gradient ahead of it, look ahead again."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
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
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
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
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
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
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
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
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
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
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
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
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
    ) -> None: ...

class SignSGD(RuleOptimizer):
    """A step of one length in every coordinate, against the gradient's sign."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.001,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        l1: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool | None = ...,
    ) -> None: ...
