"""STS that knows a number of signatures."""

from collections.abc import Mapping

from rollback.domain.approval.identity import Identity
from rollback.domain.approval.identity_proof import BODY, CONTENT_TYPE, METHOD, PURPOSE_HEADER, SignedRequest
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind

ENDPOINT, REGION = "https://sts.eu-west-1.amazonaws.com", "eu-west-1"


class FakeIdentityProofs:
    """`signers`: ARNs by signature. `is_down`: STS gives no answer. `asked`: headers of the requests that were sent."""

    def __init__(self) -> None:
        self.signers: dict[str, str] = {}
        self.is_down = False
        self.asked: list[Mapping[str, str]] = []

    def endpoint(self) -> str:
        return ENDPOINT

    def region(self) -> str:
        return REGION

    def identify(self, request: SignedRequest) -> Identity:
        self.asked.append(request.headers)
        if self.is_down:
            raise ExternalServiceError("STS gave no answer")
        arn = self.signers.get(request.headers["authorization"].rpartition("=")[2])
        if arn is None:
            raise CallRefused("STS did not confirm the identity: status 403", kind=RefusalKind.CREDENTIALS)
        return Identity(arn=arn, account=arn.split(":")[4], user_id="AROA:session", is_verified=True)

    def sign(self, arn: str, purpose: str, at: str) -> dict[str, object]:
        """Return a proof that this STS confirms; `at` has the form of x-amz-date."""
        signature = f"{len(self.signers) + 1:064x}"
        self.signers[signature] = arn
        signed = f"content-type;host;x-amz-date;{PURPOSE_HEADER}"
        scope = f"AKIDEXAMPLE0000000/{at[:8]}/{REGION}/sts/aws4_request"
        headers = {
            "Host": ENDPOINT.removeprefix("https://"),
            "Content-Type": CONTENT_TYPE,
            "X-Amz-Date": at,
            PURPOSE_HEADER: purpose,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}",
        }
        return {"method": METHOD, "url": f"{ENDPOINT}/", "headers": headers, "body": BODY}
