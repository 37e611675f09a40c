"""`TenantShard` (`ts`): a tenant's place, in the shared shard or in one of its own."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sluice_api.objects.base import Duration, Model, Name, SluiceObject
from sluice_api.objects.cel import Rule, immutable


class Tier(StrEnum):
    """Where a tenant's points live."""

    AUTO = "Auto"
    SHARED = "Shared"
    DEDICATED = "Dedicated"


class Thresholds(Model):
    """When `Auto` moves a tenant. The gap between the two keeps it from moving back and forth."""

    promote_above_points: Annotated[int, Field(ge=1)] = 20_000
    demote_below_points: Annotated[int, Field(ge=0)] = 8_000
    cooldown: Duration = 86400.0

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.demoteBelowPoints * 2 <= self.promoteAbovePoints",
            "demoteBelowPoints must be at most half of promoteAbovePoints",
            "_apart",
            "demoteBelowPoints",
        ),
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.demote_below_points * 2 > self.promote_above_points:
            raise ValueError("demoteBelowPoints must be at most half of promoteAbovePoints")
        return self


class Dedicated(Model):
    """The shape of a shard of one's own."""

    replicas: Annotated[int, Field(ge=1, le=16)] = 1


class TenantShardSpec(Model):
    """Which tenant, and where it shall live."""

    knowledge_base_ref: Name
    tenant_id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
    tier: Tier = Tier.AUTO
    thresholds: Thresholds = Thresholds()
    dedicated: Dedicated = Dedicated()

    RULES: ClassVar[tuple[Rule, ...]] = (
        immutable("knowledgeBaseRef", "make a new object for the other knowledge base"),
        immutable("tenantId", "make a new object for the other tenant"),
    )


class TenantShard(SluiceObject):
    """A tenant's tier in a knowledge base on a Qdrant cluster."""

    KIND: ClassVar[str] = "TenantShard"
    SHORT_NAME: ClassVar[str] = "ts"
    PLURAL: ClassVar[str] = "tenantshards"

    spec: TenantShardSpec
